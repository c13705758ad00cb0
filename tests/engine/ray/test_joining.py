"""Who asks for Ray where it is not, or not the right one, is told in one line; who does not is spared it."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from gateway.engine.ray import cluster
from gateway.errors import StartError

HAS_RAY = find_spec("ray") is not None


def serve(engines: str) -> "subprocess.CompletedProcess[str]":
    """What a start ends with."""
    return subprocess.run(
        [sys.executable, "-m", "gateway", "serve", "--port", "0", "--engines", engines],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"},
    )


@pytest.mark.parametrize(
    ("engines", "address"),
    [
        ("", None),
        ("ray:auto", "auto"),
        ("ray: auto ", "auto"),
        ("ray:10.0.0.1:6379", "10.0.0.1:6379"),
        ("ray:[fd00::1]:6379", "[fd00::1]:6379"),
        ("ray:head.example:6379", "head.example:6379"),
    ],
)
def test_addresses(engines: str, address: str | None) -> None:
    """Unset means that engines run here."""
    assert cluster.address_of(engines) == address


@pytest.mark.parametrize(
    "engines",
    [
        *(
            "ray",
            "ray:",
            "ray: ",
            "RAY:auto",
            "slurm:auto",
            "ray:ray://10.0.0.1:10001",
            "ray://10.0.0.1:10001",
        ),
        *("ray:10.0.0.1", "ray:10.0.0.1:head", "ray:local", "ray:fd00::1:6379", "ray:auto,10.0.0.1:6379"),
    ],
)
def test_other_addresses_are_refused(engines: str) -> None:
    """With what to say instead."""
    with pytest.raises(StartError, match="ray:auto"):
        cluster.address_of(engines)


@pytest.mark.slow
def test_a_start_without_ray_says_what_to_install() -> None:
    """One line, and no traceback."""
    if HAS_RAY:
        pytest.skip("Ray is installed")
    done = serve("ray:auto")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("gateway: ")
    assert "pip install 'transcription-gateway[ray]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed: pip install '.[ray]'")
def test_a_cluster_that_does_not_answer_is_told_at_once() -> None:
    """Ray itself would try for two minutes, and end the process."""
    done = serve("ray:127.0.0.1:1")

    assert done.returncode == 1
    assert "no Ray cluster answers at 127.0.0.1:1" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed: pip install '.[ray]'")
def test_another_version_is_told() -> None:
    """In Ray's own words, in one line."""
    from ray._private.utils import check_version_info  # noqa: PLC0415 - where it is installed

    with pytest.raises(RuntimeError) as raised:
        check_version_info({"ray_version": "1.0.0", "python_version": "3.8.0"}, "this machine")
    told = cluster.explain(raised.value, "auto")

    assert "Ray: 1.0.0" in told
    assert len(told.splitlines()) == 1


@pytest.mark.slow
def test_ray_is_not_imported_unless_asked_for() -> None:
    """The server's own modules do without, and whoever imports Ray afterwards has its reports turned off."""
    code = (
        "import sys, os, gateway.serving; print('ray' in sys.modules, os.environ['RAY_USAGE_STATS_ENABLED'])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
    )

    assert run.stdout.split() == ["False", "0"]


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed: pip install '.[ray]'")
def test_ray_reports_nothing() -> None:
    """By its own word; without ours it would."""
    code = "{}\nfrom ray._common.usage import usage_lib; print(usage_lib.usage_stats_enabled())"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    told = [
        subprocess.run(
            [sys.executable, "-c", code.format(first)], capture_output=True, text=True, check=True, env=kept
        ).stdout.split()[-1]
        for first in ("import gateway", "")
    ]

    assert told == ["False", "True"]
