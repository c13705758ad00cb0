"""Rules and dashboard ask for metrics that are there, by labels that they have, and are wired in Compose."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.metrics import LOSSES
from tests.test_metrics import declared

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = yaml.safe_load((DEPLOY / "alerts.yml").read_text())
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())

OF_PROMETHEUS = {"instance", "job"}
"""Labels that it gives to all that it reads."""


def alerts() -> dict[str, dict[str, Any]]:
    """The rules by name."""
    return {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}


def panels() -> list[dict[str, Any]]:
    """Of the dashboard, all that show something."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> dict[str, str]:
    """Each by where it stands, with Grafana's variables filled in."""
    found = {name: rule["expr"] for name, rule in alerts().items()}
    for panel in panels():
        for target in panel["targets"]:
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    for note in DASHBOARD["annotations"]["list"]:
        found[note["name"]] = note["expr"]
    return {
        where: re.sub(r"\$(instance|model)", ".*", query.replace("$__rate_interval", "5m"))
        for where, query in found.items()
    }


QUERIES = queries()


def samples() -> dict[str, set[str]]:
    """The labels of each sample's name."""
    known = {"up": set[str]()}
    for name, (kind, labels, _) in declared().items():
        if kind == "histogram":
            known |= {f"{name}_sum": {*labels}, f"{name}_count": {*labels}, f"{name}_bucket": {*labels, "le"}}
        else:
            known[name] = {*labels}
    return known


SAMPLES = samples()


def selectors(query: str) -> Iterator[tuple[str, list[Any]]]:
    """Each metric of a query, and what its labels are matched with."""
    promql = pytest.importorskip("promql_parser", reason="promql-parser is not installed")
    found: list[tuple[str, list[Any]]] = []

    def note(node: Any) -> bool:
        if isinstance(node, promql.VectorSelector):
            found.append((node.name, [*node.matchers.matchers]))
        return True

    promql.walk(promql.parse(query), note)
    yield from found


@pytest.mark.parametrize("where", QUERIES)
def test_a_query_asks_for_what_is_there(where: str) -> None:
    """It parses, its metrics are the server's, and so are the labels that it selects and groups by."""
    query = QUERIES[where]
    chosen = dict(selectors(query))

    assert chosen
    assert chosen.keys() <= SAMPLES.keys()
    labels = set.union(OF_PROMETHEUS, *(SAMPLES[name] for name in chosen))
    for name, matchers in selectors(query):
        assert {each.name for each in matchers} <= SAMPLES[name] | OF_PROMETHEUS
    grouped = {each.strip() for group in re.findall(r"\bby \(([^)]*)\)", query) for each in group.split(",")}
    assert grouped <= labels


@pytest.mark.parametrize("name", alerts())
def test_a_rule_can_be_understood(name: str) -> None:
    """It has a severity and says in a sentence what is wrong, and where."""
    rule = alerts()[name]

    assert name.startswith("Gateway")
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert "$labels.instance" in rule["annotations"]["summary"]
    assert len(rule["annotations"]["summary"].split()) >= 4


def test_reasons_are_those_that_are_counted() -> None:
    """A rule about hung workers would never fire, were the word another."""
    named = set(re.findall(r'worker_restarts_total\{[^}]*reason="(\w+)"', json.dumps([*QUERIES.values()])))
    named |= {
        reason for query in QUERIES.values() for reason in re.findall(r'restarts_total\{reason="(\w+)', query)
    }

    assert named
    assert named <= set(LOSSES)


@pytest.mark.parametrize(
    "about",
    [
        "workers_ready",
        'reason="hung"',
        "speech_end_to_final",
        "refusals_total",
        "live_waiting_bytes",
        "worker_restarts_total",
        "process_open_fds",
        "queue_rows",
        "up{",
    ],
)
def test_what_operators_must_be_told_has_a_rule(about: str) -> None:
    """Stuck and missing workers, late finals, refusals, bounds, handles."""
    assert any(about in rule["expr"] for rule in alerts().values())


def test_every_metric_is_on_the_dashboard() -> None:
    """Or in a rule: what nobody looks at need not be counted. Memory beside the resident one nobody needs."""
    shown = " ".join([*QUERIES.values(), json.dumps(DASHBOARD["templating"])])
    unseen = {name for name in declared() if not re.search(rf"\b{name}(_bucket|_sum|_count)?\b", shown)}

    assert unseen <= {"process_virtual_memory_bytes", "gateway_live_final_seconds"}


def test_the_dashboard_is_whole() -> None:
    """Panels have ids of their own, say what they show, and do not lie over each other."""
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(panel["description"] and panel["targets"] for panel in panels())
    taken = set[tuple[int, int]]()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_compose_gives_them_to_prometheus_and_grafana() -> None:
    """Each file lies where its reader looks for it."""
    prometheus = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    provider = yaml.safe_load((DEPLOY / "grafana" / "dashboards.yml").read_text())
    mounts = {
        service: dict(volume.split(":")[:2] for volume in COMPOSE["services"][service]["volumes"])
        for service in ("prometheus", "grafana")
    }

    assert prometheus["rule_files"] == [mounts["prometheus"]["./alerts.yml"]]
    [job] = prometheus["scrape_configs"]
    assert job["job_name"] == "gateway"  # the rules name it
    [folder] = [each["options"]["path"] for each in provider["providers"]]
    assert mounts["grafana"]["./grafana/dashboard.json"].startswith(f"{folder}/")
    assert "/provisioning/dashboards/" in mounts["grafana"]["./grafana/dashboards.yml"]


def test_promtool_agrees() -> None:
    """Prometheus' own check, where it is installed."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    run = subprocess.run(
        [promtool, "check", "rules", str(DEPLOY / "alerts.yml")], capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stderr
