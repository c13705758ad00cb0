"""The image's steps, as far as they can be run without Docker: its health check, its targets, its wheels."""

import json
import os
import re
import ssl
import subprocess
import sys
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from shutil import which
from threading import Thread

import pytest
from packaging.requirements import Requirement

from tests.support import LiveServer, open_sources

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()

MIB = 2**20
BASE_IMAGE = 125_000_000
"""Bytes of python:3.12-slim, unpacked."""
BASE_MODEL = 148_000_000
"""Of Whisper base as CTranslate2 has it."""


def healthy(port: str, **environment: str) -> bool:
    """What the image's health check says, run as Docker runs it."""
    [command] = re.findall(r"^\s+CMD (\[\"python\".*\])$", DOCKERFILE, re.MULTILINE)
    _, *arguments = json.loads(command)
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "GATEWAY_PORT": port, **environment},
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


@pytest.mark.slow
def test_health_check_honours_the_port(server: LiveServer) -> None:
    """It asks where the server listens, and fails where nobody does."""
    assert healthy(server.url.rpartition(":")[2])
    assert not healthy("1")


class Health(BaseHTTPRequestHandler):
    """Answers as the server does."""

    def do_GET(self) -> None:
        """Whether it is there."""
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.mark.slow
@pytest.mark.skipif(which("openssl") is None, reason="openssl makes the certificate")
def test_health_check_of_a_server_with_a_certificate(tmp_path: Path) -> None:
    """Of another name: it is asked by https where the server speaks that."""
    files = [str(tmp_path / name) for name in ("key.pem", "certificate.pem")]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=captions.example.org"]
    subprocess.run([*make, "-keyout", files[0], "-out", files[1]], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[1], files[0])
    with HTTPServer(("127.0.0.1", 0), Health) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            with_it = healthy(str(server.server_port), GATEWAY_SSL_CERTFILE=files[1])
        finally:
            server.shutdown()
            thread.join()

    assert with_it


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


@pytest.mark.parametrize("path", sorted((ROOT / "deploy").rglob("*.*")), ids=lambda path: path.name)
def test_builds_that_are_named(path: Path) -> None:
    """What `deploy` has built is what the image can be built with."""
    text = path.read_text("utf-8")
    arguments = set(re.findall(r"^ARG (\w+)=", DOCKERFILE, re.MULTILINE))
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))

    assert set(re.findall(r"--build-arg (\w+)=", text)) <= arguments
    assert set(re.findall(r"--target[ =](\w+)|target: (\w+)", text)) <= {
        *((name, "") for name in targets),
        *(("", name) for name in targets),
    }


@pytest.mark.parametrize(("extras", "wanted"), [("", "."), ("ray", ".[ray]"), ("cuda,ray", ".[cuda,ray]")])
def test_extras(extras: str, wanted: str) -> None:
    """The image's shell makes of the argument what pip takes."""
    [argument] = re.findall(r"pip install --only-binary :all: (\"\.\$.*\")$", DOCKERFILE, re.MULTILINE)
    said = subprocess.run(
        ["/bin/sh", "-c", f"printf %s {argument}"],
        env={"EXTRAS": extras},
        capture_output=True,
        text=True,
        check=True,
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert said.stdout == wanted
    assert set(filter(None, extras.split(","))) <= project["optional-dependencies"].keys()


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


def installed(requirement: Requirement, sizes: dict[str, int]) -> None:
    """Adds the bytes of a package and of all that it needs, by what their wheels list."""
    name = requirement.name.lower().replace("_", "-")
    if name in sizes:
        return
    found = distribution(name)
    sizes[name] = sum(file.size or 0 for file in found.files or ())
    for text in found.requires or ():
        needed = Requirement(text)
        extras = {"", *requirement.extras}
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
            installed(needed, sizes)


def test_size() -> None:
    """With base inside it is at most 700 MiB, unpacked."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    sizes: dict[str, int] = {}
    try:
        for text in project["dependencies"]:
            installed(Requirement(text), sizes)
    except PackageNotFoundError as error:
        pytest.skip(f"{error} is not installed")
    total = BASE_IMAGE + BASE_MODEL + sum(sizes.values())

    assert len(sizes) > 20
    assert total / MIB < 700, sorted(sizes.items(), key=lambda each: -each[1])[:8]
