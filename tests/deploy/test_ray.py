"""What `deploy/ray` holds: a cluster file by Ray's own schema, and a manifest whose parts fit each other."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from starlette.routing import Route

from gateway.app import Gateway
from gateway.engine.lifecycle import ModelPlan
from gateway.engine.ray import cluster
from gateway.settings import Settings
from tests.scripted import ScriptedSpec

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "ray"


def manifest() -> dict[str, dict[str, Any]]:
    """The documents, by kind."""
    return {each["kind"]: each for each in yaml.safe_load_all((FOLDER / "kuberay.yaml").read_text())}


def groups() -> dict[str, dict[str, Any]]:
    """The pods' groups, the head among them."""
    spec = manifest()["RayCluster"]["spec"]
    return {"head": spec["headGroupSpec"], **{each["groupName"]: each for each in spec["workerGroupSpecs"]}}


def container(group: dict[str, Any]) -> dict[str, Any]:
    """Its only one."""
    [only] = group["template"]["spec"]["containers"]
    return dict(only)


def test_the_cluster_file_is_one() -> None:
    """By the schema that Ray ships, where it is installed."""
    found = find_spec("ray")
    if found is None or found.origin is None:
        pytest.skip("Ray is not installed: pip install '.[ray]'")
    schema = json.loads((Path(found.origin).parent / "autoscaler" / "ray-schema.json").read_text())
    config = yaml.safe_load((FOLDER / "cluster.yaml").read_text())

    jsonschema.validate(config, schema)


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_nothing_phones_home(path: Path) -> None:
    """Every process of Ray's that is started is told so, and the head starts no dashboard."""
    text = path.read_text()
    starts = len(re.findall(r"ray start --(?:head|address)|KUBERAY_GEN_RAY_START_CMD", _commands(text)))

    assert starts >= 2
    assert text.count("RAY_USAGE_STATS_ENABLED") == starts
    assert re.search(r"include-dashboard:? \"?false", text)


def _commands(text: str) -> str:
    """Without comments."""
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def test_every_group_has_what_it_needs() -> None:
    """The operator leaves commands and probes to us, so each container has them; volumes are there."""
    annotations = manifest()["RayCluster"]["metadata"]["annotations"]

    assert annotations["ray.io/overwrite-container-cmd"] == "true"
    assert groups().keys() == {"head", "engines", "edges"}
    for group in groups().values():
        own = container(group)
        mounted = {mount["name"] for mount in own.get("volumeMounts", ())}
        volumes = {volume["name"] for volume in group["template"]["spec"].get("volumes", ())}
        assert "KUBERAY_GEN_RAY_START_CMD" in own["args"][0]
        assert {"readinessProbe", "livenessProbe"} <= own.keys()
        assert mounted <= volumes
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


def test_replicas_are_on_engines_alone() -> None:
    """Head and edges have no cores to give."""
    cores = {name: group["rayStartParams"].get("num-cpus") for name, group in groups().items()}

    assert cores == {"head": "0", "edges": "0", "engines": None}


def test_edges_are_gateways_on_the_cluster() -> None:
    """Their variables are settings, their probes routes, the service finds them, their end is waited for."""
    edge = container(groups()["edges"])
    given = {entry["name"]: entry.get("value", "x") for entry in edge["env"]}
    settings = {name.removeprefix("GATEWAY_").lower() for name in given if name.startswith("GATEWAY_")}
    [engines] = re.findall(r"--engines (\S+)", edge["args"][0])
    pod = groups()["edges"]["template"]
    routes = {
        route.path
        for route in Gateway(Settings(), [ModelPlan("m", ScriptedSpec)]).app.routes
        if type(route) is Route
    }
    probes = {edge[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    pause = int(edge["lifecycle"]["preStop"]["exec"]["command"][1])

    assert settings <= Settings.model_fields.keys()
    assert cluster.address_of(engines) == "auto"
    assert probes <= routes
    assert manifest()["Service"]["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert pod["spec"]["terminationGracePeriodSeconds"] >= pause + float(given["GATEWAY_SHUTDOWN_GRACE"]) + 3


def test_a_replica_fits_a_node() -> None:
    """It takes no more cores than an engine's pod has."""
    edge = container(groups()["edges"])
    given = {entry["name"]: entry.get("value") for entry in edge["env"]}

    assert float(given["GATEWAY_RAY_CPUS"]) <= float(
        container(groups()["engines"])["resources"]["limits"]["cpu"]
    )
