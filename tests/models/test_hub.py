"""The hub client against a real HTTP server standing in for the hub, and against hubs that do not answer."""

import fcntl
import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from faster_whisper.utils import _MODELS

from gateway.errors import ModelUnavailableError
from gateway.models.hub import WHISPER_REPOS, Hub
from gateway.models.layout import fault
from tests.hub_server import BASE, COMMIT, HubServer, hub_server
from tests.support import MODEL


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
    with hub_server(asked) as hub:
        yield hub.endpoint
        huggingface_hub.close_session()


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
        timeout=120,
    )


_RESOLVE = """
import time
from gateway.errors import ModelUnavailableError
from gateway.models.hub import Hub
from gateway.models.locate import locate_default
before = time.monotonic()
try:
    found = locate_default(Hub(), on_gpu=False)
    print(found.name, found.fetch())
except ModelUnavailableError as error:
    print(error)
print(time.monotonic() - before)
"""


def test_names_are_faster_whispers() -> None:
    """The copied table says what faster-whisper's says."""
    assert WHISPER_REPOS == _MODELS


@pytest.mark.slow
def test_download(endpoint: str, tmp_path: Path, asked: list[str]) -> None:
    """The files arrive as the hub has them, and the folder is then the cache's current snapshot."""
    hub = Hub(endpoint, tmp_path)
    folder = hub.download(BASE)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in MODEL.iterdir()
    }
    assert hub.snapshots(BASE) == [folder]
    assert f"/{BASE}/resolve/{COMMIT}/model.bin" in asked


@pytest.mark.slow
def test_interrupted_download_goes_on(endpoint: str, tmp_path: Path, asked: list[str]) -> None:
    """Only what is missing is fetched again."""
    hub = Hub(endpoint, tmp_path)
    (hub.download(BASE) / "vocabulary.json").unlink()
    asked.clear()
    folder = hub.download(BASE)

    assert (folder / "vocabulary.json").read_bytes() == (MODEL / "vocabulary.json").read_bytes()
    assert f"/{BASE}/resolve/{COMMIT}/model.bin" not in asked


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
        Hub(closed_endpoint, tmp_path).download(BASE)


@pytest.mark.slow
def test_mute_hub(mute_endpoint: str, tmp_path: Path) -> None:
    """A hub that takes the connection and stays silent costs the deadline and no more."""
    before = time.monotonic()
    with pytest.raises(ModelUnavailableError, match=r"did not answer within 0\.3 s"):
        Hub(mute_endpoint, tmp_path, answer_within=0.3).download(BASE)

    assert time.monotonic() - before < 8


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
        Hub("http://hub.test", tmp_path, answer_within=0.3).download(BASE)
    elapsed = time.monotonic() - before
    gone.set()
    for thread in threading.enumerate():
        if thread.name == "question":
            thread.join()

    assert elapsed < 8


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

    assert _start(_RESOLVE, environment).stdout.startswith(f"base {tmp_path}")
    offline = _start(_RESOLVE, {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)})
    assert offline.stdout.startswith(f"base {tmp_path}")


@pytest.mark.slow
def test_environment_offline(endpoint: str, tmp_path: Path, asked: list[str]) -> None:
    """HF_HUB_OFFLINE keeps the hub unasked, and that is said."""
    environment = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    run = _start(_RESOLVE, environment)

    assert "HF_HUB_OFFLINE forbids" in run.stdout
    assert asked == []


@pytest.mark.slow
def test_environment_mute_hub(mute_endpoint: str, tmp_path: Path) -> None:
    """The real deadline: a mute hub delays the start by 5 s, and one line tells what to do."""
    run = _start(_RESOLVE, {"HF_ENDPOINT": mute_endpoint, "HF_HOME": str(tmp_path)})
    said, seconds = run.stdout.splitlines()

    assert "did not answer within 5 s" in said
    assert "gateway serve --model ./folder" in said
    assert float(seconds) < 60  # a mute hub would take for ever
    assert run.stderr == ""


_WEIGHTS = (MODEL / "model.bin").read_bytes()
_SHA256 = hashlib.sha256(_WEIGHTS).hexdigest()


@pytest.fixture
def server() -> Iterator[HubServer]:
    """A hub that answers."""
    with hub_server() as running:
        yield running
        huggingface_hub.close_session()


@pytest.fixture
def hub(server: HubServer, tmp_path: Path) -> Hub:
    """Its client, with an empty cache."""
    return Hub(server.endpoint, tmp_path)


@pytest.fixture
def part(hub: Hub) -> Path:
    """Where a broken download is kept."""
    path = hub.root(BASE) / "blobs" / f"{_SHA256}.part"
    path.parent.mkdir(parents=True)
    return path


def _times_asked(server: HubServer) -> int:
    return server.asked.count(f"/{BASE}/resolve/{COMMIT}/model.bin")


@pytest.mark.slow
def test_the_rest_is_asked_for(server: HubServer, hub: Hub, part: Path) -> None:
    """What another process fetched before it died is not fetched again."""
    part.write_bytes(_WEIGHTS[:1_234_567])
    folder = hub.download(BASE)

    assert server.resumed_at == [1_234_567]
    assert (folder / "model.bin").read_bytes() == _WEIGHTS
    assert fault(folder) is None
    assert not part.exists()


@pytest.mark.slow
def test_nothing_is_asked_for_twice(server: HubServer, hub: Hub) -> None:
    """The hub client takes over what lies in the cache: it is sent once, and asked about twice."""
    hub.download(BASE)
    first = _times_asked(server)
    hub.download(BASE)

    assert first == 3
    assert _times_asked(server) == first


@pytest.mark.slow
def test_a_wrong_beginning(server: HubServer, hub: Hub, part: Path) -> None:
    """The checksum finds it, it is deleted, and the next download is whole."""
    part.write_bytes(b"x" * 1_000_000)
    with pytest.raises(ModelUnavailableError, match="not what the hub announced"):
        hub.download(BASE)
    kept = list(part.parent.iterdir())

    assert kept == []
    assert fault(hub.download(BASE)) is None


@pytest.mark.slow
def test_another_process_is_at_it(hub: Hub, part: Path) -> None:
    """Its file is left alone, and the model is fetched all the same."""
    with part.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        folder = hub.download(BASE)

        assert part.stat().st_size == 0
    assert fault(folder) is None
