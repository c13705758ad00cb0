"""The hub client against a real HTTP server standing in for the hub, and against hubs that do not answer."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import huggingface_hub
import pytest
from faster_whisper.utils import _MODELS

from gateway.engine.hub import WHISPER_REPOS, Hub, ModelUnavailableError

_MODEL = Path(__file__).parents[1] / "mini-whisper" / "model"
_BASE = WHISPER_REPOS["base"]
_COMMIT = "c0ffee" * 6 + "c0ff"


class _HubServer(BaseHTTPRequestHandler):
    """Serves the miniature under two names, as far as `model_info` and `snapshot_download` ask.

    ``org/weights`` is the same without its model.bin; ``org/broken`` lists files that it then has not.
    """

    protocol_version = "HTTP/1.1"

    def __init__(self, asked: list[str], *args: object) -> None:
        self.asked = asked
        super().__init__(*args)  # type: ignore[arg-type]  # socketserver's three

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class calls it so
        """Quiet."""

    def do_GET(self) -> None:
        """Files, and the API's two questions."""
        path = urlsplit(self.path).path
        self.asked.append(path)
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._api("/".join(parts[2:4]), parts[4:])
        elif "/".join(parts[:2]) == _BASE and parts[2:4] == ["resolve", _COMMIT]:
            self._send((_MODEL / parts[4]).read_bytes(), {"X-Repo-Commit": _COMMIT})
        else:
            self._refuse(404)

    do_HEAD = do_GET  # noqa: N815  # http.server's names

    def _api(self, repo: str, rest: list[str]) -> None:
        if repo == "org/down":
            self._refuse(503)
        elif repo == "org/portal":
            self._send(b"<html>Please log in</html>", {})
        elif repo not in (_BASE, "org/weights", "org/broken"):
            self._refuse(404, {"X-Error-Code": "RepoNotFound"})
        else:
            files = [
                path for path in sorted(_MODEL.iterdir()) if repo != "org/weights" or path.suffix != ".bin"
            ]
            if rest[:1] == ["tree"]:
                answer: object = [
                    {"type": "file", "path": f.name, "size": f.stat().st_size, "oid": "0" * 40} for f in files
                ]
            else:
                answer = {
                    "id": repo,
                    "sha": _COMMIT,
                    "siblings": [{"rfilename": path.name} for path in files],
                }
            self._send(json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _send(self, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _refuse(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()


@pytest.fixture(autouse=True)
def own_session(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Loopback goes past any proxy, and no connection of the hub client outlives its test."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    huggingface_hub.close_session()
    yield
    huggingface_hub.close_session()


@pytest.fixture
def asked() -> list[str]:
    """The paths that the server was asked for."""
    return []


@pytest.fixture
def endpoint(asked: list[str]) -> Iterator[str]:
    """A hub that answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_HubServer, asked))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    huggingface_hub.close_session()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def mute_endpoint() -> Iterator[str]:
    """A hub that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def closed_endpoint() -> str:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def _start(code: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs code in an interpreter of its own: the hub client reads its environment when it is imported."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))
    }
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "NO_PROXY": "127.0.0.1", **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )


_RESOLVE = """
import logging, time
from gateway.engine.hub import Hub
from gateway.engine.models import WhisperOptions, default_spec
logging.basicConfig(format="%(message)s")
before = time.monotonic()
print(default_spec(WhisperOptions(device="cpu"), Hub()))
print(time.monotonic() - before)
"""


def test_names_are_faster_whispers() -> None:
    """The copied table says what faster-whisper's says."""
    assert WHISPER_REPOS == _MODELS


@pytest.mark.slow
def test_download(endpoint: str, tmp_path: Path, asked: list[str]) -> None:
    """The files arrive as the hub has them, and the folder is then the cache's current snapshot."""
    hub = Hub(endpoint, tmp_path)
    folder = hub.download(_BASE)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in _MODEL.iterdir()
    }
    assert hub.snapshots(_BASE) == [folder]
    assert f"/{_BASE}/resolve/{_COMMIT}/model.bin" in asked


@pytest.mark.slow
def test_interrupted_download_goes_on(endpoint: str, tmp_path: Path, asked: list[str]) -> None:
    """Only what is missing is fetched again."""
    hub = Hub(endpoint, tmp_path)
    (hub.download(_BASE) / "vocabulary.json").unlink()
    asked.clear()
    folder = hub.download(_BASE)

    assert (folder / "vocabulary.json").read_bytes() == (_MODEL / "vocabulary.json").read_bytes()
    assert f"/{_BASE}/resolve/{_COMMIT}/model.bin" not in asked


@pytest.mark.parametrize(
    ("repo", "text"),
    [
        ("org/unknown", "does not know it"),
        ("org/weights", "has no model.bin"),
        ("org/down", "status 503"),
        ("org/portal", "cannot be used"),
        ("org/broken", "broke off"),
    ],
)
def test_refusals(endpoint: str, tmp_path: Path, repo: str, text: str) -> None:
    """Whatever is wrong with the hub's answer, one line says what was looked for, where, and what it is."""
    with pytest.raises(ModelUnavailableError, match=text) as caught:
        Hub(endpoint, tmp_path).download(repo)

    assert repo in str(caught.value)
    assert endpoint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_connection(closed_endpoint: str, tmp_path: Path) -> None:
    """A refused connection is told at once, with what to do."""
    with pytest.raises(ModelUnavailableError, match=r"cannot be used .* HF_ENDPOINT .* --model \./folder"):
        Hub(closed_endpoint, tmp_path).download(_BASE)


@pytest.mark.slow
def test_mute_hub(mute_endpoint: str, tmp_path: Path) -> None:
    """A hub that takes the connection and stays silent costs the deadline and no more."""
    before = time.monotonic()
    with pytest.raises(ModelUnavailableError, match=r"did not answer within 0\.3 s"):
        Hub(mute_endpoint, tmp_path, answer_within=0.3).download(_BASE)

    assert time.monotonic() - before < 1.5


@pytest.mark.slow
def test_name_resolution_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that does not come back, against which no client's timeout helps, costs the deadline too."""
    gone = threading.Event()

    def resolve(*_: object, **__: object) -> list[object]:
        gone.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "too late")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    before = time.monotonic()
    with pytest.raises(ModelUnavailableError, match=r"did not answer within 0\.3 s"):
        Hub("http://hub.test", tmp_path, answer_within=0.3).download(_BASE)
    elapsed = time.monotonic() - before
    gone.set()
    for thread in threading.enumerate():
        if thread.name == "hub-question":
            thread.join()

    assert elapsed < 1.5


def test_snapshots_current_first(tmp_path: Path) -> None:
    """What `main` means comes first, then the newest; without a cache there is none."""
    root = tmp_path / "models--org--name"
    for age, name in enumerate(("newest", "older", "current")):
        (root / "snapshots" / name).mkdir(parents=True)
        os.utime(root / "snapshots" / name, (1000 - age, 1000 - age))
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text("current")
    hub = Hub(None, tmp_path)

    assert [path.name for path in hub.snapshots("org/name")] == ["current", "newest", "older"]
    assert hub.snapshots("org/other") == []


@pytest.mark.slow
def test_environment_mirror(endpoint: str, tmp_path: Path) -> None:
    """Nothing named, nothing cached: the mirror in HF_ENDPOINT gives the default, HF_HOME keeps it."""
    environment = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path)}

    assert "WhisperSpec(name='base'" in _start(_RESOLVE, environment).stdout
    offline = _start(_RESOLVE, {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)})
    assert "WhisperSpec(name='base'" in offline.stdout


@pytest.mark.slow
def test_environment_offline(endpoint: str, tmp_path: Path, asked: list[str]) -> None:
    """HF_HUB_OFFLINE keeps the hub unasked, and the fallback says why."""
    environment = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    run = _start(_RESOLVE, environment)

    assert run.stdout.startswith("SphinxSpec(")
    assert "HF_HUB_OFFLINE forbids" in run.stderr
    assert asked == []


@pytest.mark.slow
def test_environment_mute_hub(mute_endpoint: str, tmp_path: Path) -> None:
    """The real deadline: a mute hub delays the start by 5 s, and one loud line tells how to get Whisper."""
    run = _start(_RESOLVE, {"HF_ENDPOINT": mute_endpoint, "HF_HOME": str(tmp_path)})
    spec, seconds = run.stdout.splitlines()

    assert spec.startswith("SphinxSpec(")
    assert float(seconds) < 6.5
    assert "NO WHISPER MODEL" in run.stderr
    assert "gateway serve --model small" in run.stderr
    assert len(run.stderr.splitlines()) == 1
