"""What `deploy/` holds fits the server: settings, addresses, metrics, ports and times are its own."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.routing import Route

from gateway.app import Gateway
from gateway.engine.lifecycle import ModelPlan
from gateway.metrics import Metrics
from gateway.settings import Settings
from tests.scripted import ScriptedSpec

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())


def documents(path: Path) -> list[dict[str, Any]]:
    """The documents of a YAML file."""
    return list(yaml.safe_load_all(path.read_text()))


def deployment() -> dict[str, Any]:
    """Kubernetes' deployment."""
    [found] = [each for each in documents(DEPLOY / "kubernetes/gateway.yaml") if each["kind"] == "Deployment"]
    return dict(found["spec"]["template"]["spec"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_settings_exist(path: Path) -> None:
    """No file sets a variable that the server does not know."""
    named = set(re.findall(r"GATEWAY_[A-Z_]+", path.read_text()))

    assert named <= {f"GATEWAY_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_metrics_exist(path: Path) -> None:
    """No file asks for a metric that the server does not have."""
    known = {metric.name for metric in Metrics().registry.collect()}
    named = set(re.findall(r"\bgateway_[a-z_]+[a-z]\b", path.read_text()))

    assert {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in named} <= known


def test_probes_ask_what_is_there() -> None:
    """Each probe's path is a route that needs no key, at the port that the container opens."""
    app = Gateway(Settings(), [ModelPlan("m", ScriptedSpec)]).app
    open_paths = {route.path for route in app.routes if type(route) is Route}
    [container] = deployment()["containers"]
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")]

    assert {probe["path"] for probe in probes} <= open_paths
    assert {probe["port"] for probe in probes} == {port["name"] for port in container["ports"]}
    assert [port["containerPort"] for port in container["ports"]] == [Settings.model_fields["port"].default]


def test_ends_are_waited_for() -> None:
    """Whoever stops the server gives it its grace, and time to write what is left."""
    pod = deployment()
    [container] = pod["containers"]
    given = {entry["name"]: entry.get("value") for entry in container["env"]}
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    grace = float(given["GATEWAY_SHUTDOWN_GRACE"])
    default = float(Settings.model_fields["shutdown_grace"].default)
    [compose] = documents(DEPLOY / "compose.yaml")
    [unit] = re.findall(
        r"^TimeoutStopSec=(\d+)$", (DEPLOY / "systemd/gateway.service").read_text(), re.MULTILINE
    )

    assert pod["terminationGracePeriodSeconds"] >= pause + grace + 3
    assert int(compose["services"]["gateway"]["stop_grace_period"].removesuffix("s")) >= default + 3
    assert int(unit) >= default + 3


def test_waiting_rows_bring_more_pods() -> None:
    """The autoscaler is the deployment's, and goes by what waits."""
    kinds = {each["kind"]: each for each in documents(DEPLOY / "kubernetes/gateway.yaml")}
    scaler = kinds["HorizontalPodAutoscaler"]["spec"]
    [metric] = scaler["metrics"]

    assert scaler["scaleTargetRef"]["name"] == kinds["Deployment"]["metadata"]["name"]
    [waiting] = Metrics().queue_rows.describe()
    assert metric["pods"]["metric"]["name"] == waiting.name
    assert scaler["minReplicas"] < scaler["maxReplicas"]


def test_the_containers_user_is_the_images() -> None:
    """Kubernetes runs it as the user that the image's volume belongs to, and writes only where it may."""
    image = (ROOT / "Dockerfile").read_text()
    pod = deployment()
    [container] = pod["containers"]
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}

    assert f"USER {pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" in image
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert set(re.findall(r"^VOLUME (\S+)$", image, re.MULTILINE)) | {"/tmp"} == mounts


def test_compose_mounts_what_is_there() -> None:
    """Every file that a container reads lies beside it."""
    [compose] = documents(DEPLOY / "compose.yaml")
    files = [
        volume.partition(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", ())
        if volume.startswith(".")
    ]

    assert files
    assert all((DEPLOY / file).is_file() for file in files)
