"""Every metric makes sense alone, and all of them stand in docs/metrics.md; `RECORD=1` writes it anew."""

import os
import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from gateway.errors import GatewayError, InvalidRequestError, OverloadedError, WorkerLostError
from gateway.metrics import REFUSALS, Metrics

PAGE = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"

HEAD = """# Metrics

What `GET /metrics` tells, in Prometheus' text format; histograms have `_bucket`, `_sum` and `_count`.

"""


def declared() -> dict[str, tuple[str, tuple[str, ...], str]]:
    """Of each metric, by the name that a query has: type, labels, help."""
    metrics = Metrics()
    found = dict[str, tuple[str, tuple[str, ...], str]]()
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            name = metric._name + ("_total" if metric._type == "counter" else "")
            found[name] = str(metric._type), tuple(metric._labelnames), metric._documentation
    for family in metrics.processes.describe():
        name = family.name + ("_total" if family.type == "counter" else "")
        found[name] = family.type, ("model", "worker"), family.documentation
    found["gateway_info"] = "gauge", ("version",), "Always 1; the label says which version runs"
    for family in ProcessCollector(registry=CollectorRegistry()).collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        found[name] = family.type, (), family.documentation.removesuffix(".")
    return found


def metrics_page() -> str:
    """The page of all metrics."""
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for name, (kind, labels, text) in sorted(declared().items()):
        rows.append(f"| `{name}` | {kind} | {', '.join(labels)} | {text} |")
    return HEAD + "\n".join(rows) + "\n"


def test_the_page_lists_every_metric() -> None:
    """To the letter."""
    if os.environ.get("RECORD"):
        PAGE.write_text(metrics_page())

    assert PAGE.read_text() == metrics_page()


def test_the_page_misses_none() -> None:
    """What the registry gives out is what is declared."""
    text = generate_latest(Metrics().registry).decode()
    given = {
        re.sub(r"_created$", "", family.name)
        for family in text_string_to_metric_families(text)
        if family.name
    }

    assert given <= {name.removesuffix("_total") for name in declared()}


@pytest.mark.parametrize("name", declared())
def test_names_follow_the_conventions(name: str) -> None:
    """A prefix, counters as totals, times in seconds, sizes in bytes, few labels, and a help."""
    kind, labels, text = declared()[name]

    assert name.startswith(("gateway_", "process_"))
    assert name.endswith("_total") == (kind == "counter")
    assert not re.search(r"_(ms|milliseconds|kb|mb|percent)\b", name)
    assert ("Seconds" not in text.split(" ")[0]) or "_seconds" in name or "factor" in name
    assert len(text.split()) >= 3
    assert len(labels) <= 2


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (GatewayError("x"), "internal"),
        (InvalidRequestError("x"), "invalid_request"),
        (InvalidRequestError("x", code="invalid_json"), "invalid_json"),
        (OverloadedError("x", reason="queue_full"), "queue_full"),
        (OverloadedError("x", reason="queue_full").under("file"), "queue_full"),
    ],
)
def test_a_refusal_has_a_reason(error: GatewayError, reason: str) -> None:
    """Which limit or fault it was, though clients are told the same code for several."""
    metrics = Metrics()
    metrics.refuse(error)

    labels = {"status": str(error.status), "reason": reason}
    assert metrics.registry.get_sample_value("gateway_refusals_total", labels) == 1


def test_every_limit_is_counted_from_nothing() -> None:
    """Whatever reason the code gives: else the first refusal of a kind would be no increase to Prometheus."""
    package = PAGE.parents[1] / "gateway"
    given = {
        word.replace("{kind}", kind)
        for file in package.rglob("*.py")
        for word in re.findall(r'\breason=f?"([a-z_{}]+)"', file.read_text())
        for kind in ("streams", "sessions")
    }

    assert "client_sessions" in given
    assert given <= {reason for reasons in REFUSALS.values() for reason in reasons}


def test_a_lost_worker_has_a_kind() -> None:
    """Few enough to be a label."""
    errors = (
        WorkerLostError("died"),
        WorkerLostError("died", was_killed=True),
        WorkerLostError("hung", kind="hung", was_killed=True),
    )

    assert [error.kind for error in errors] == ["died", "killed", "hung"]


def test_worker_processes_are_read_when_asked() -> None:
    """One with a process has memory, one without has no sample, and one that was removed is gone."""
    metrics = Metrics()
    metrics.processes.add("m", 0, os.getpid)
    metrics.processes.add("m", 1, lambda: None)
    read = metrics.registry.get_sample_value

    assert (read("gateway_worker_memory_bytes", {"model": "m", "worker": "0"}) or 0) > 1e6
    assert (read("gateway_worker_cpu_seconds_total", {"model": "m", "worker": "0"}) or 0) > 0
    assert read("gateway_worker_memory_bytes", {"model": "m", "worker": "1"}) is None
    metrics.processes.remove("m")
    assert read("gateway_worker_memory_bytes", {"model": "m", "worker": "0"}) is None
