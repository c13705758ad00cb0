"""The image's steps, as far as they can be run without Docker: its health check, its targets, its wheels."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import LiveServer, open_sources

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def healthy(port: str) -> bool:
    """What the image's health check says, run as Docker runs it."""
    [command] = re.findall(r"^\s+CMD (\[\"python\".*\])$", DOCKERFILE, re.MULTILINE)
    _, *arguments = json.loads(command)
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "GATEWAY_PORT": port},
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


@pytest.mark.slow
def test_health_check_honours_the_port(server: LiveServer) -> None:
    """It asks where the server listens, and fails where nobody does."""
    assert healthy(server.url.rpartition(":")[2])
    assert not healthy("1")


def test_targets() -> None:
    """Each copies from a stage that is there; nothing runs as root in the end; the last one is the CPU's."""
    stages = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", DOCKERFILE, re.MULTILINE)
    named = {name for _, name in stages if name}
    users = re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)

    assert {"cpu", "cuda", "baked"} <= named
    assert set(re.findall(r"--from=(\S+)", DOCKERFILE)) <= named
    assert {source for source, _ in stages if ":" not in source} <= named
    assert stages[-1] == ("cpu", "")
    assert users[-1] == "10001:10001"


@pytest.mark.slow
@pytest.mark.skipif(
    "GATEWAY_TEST_INSTALL" not in os.environ, reason="GATEWAY_TEST_INSTALL fetches hundreds of MB"
)
@pytest.mark.parametrize("extra", ["", "[cuda]"])
def test_wheels_alone(extra: str, tmp_path: Path) -> None:
    """All that pip installs there are wheels: no compiler is needed."""
    with open_sources():
        pip = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"),
                *("--only-binary", ":all:", "--report", str(tmp_path / "report.json"), f"{ROOT}{extra}"),
            ],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PATH": str(tmp_path), "CC": "/bin/false"},
        )
    if "Could not find a version" in pip.stderr or "No module named pip" in pip.stderr:
        pytest.skip("no package index answers")
    report = json.loads((tmp_path / "report.json").read_text())
    urls = [
        each["download_info"]["url"] for each in report["install"] if "archive_info" in each["download_info"]
    ]

    assert pip.returncode == 0, pip.stderr
    assert urls
    assert all(url.endswith(".whl") for url in urls)
    assert any("cublas" in url for url in urls) == bool(extra)
