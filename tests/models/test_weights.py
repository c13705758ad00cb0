"""Downloads that broke off go on, are checked, and are never done by two processes at once."""

import fcntl
import hashlib
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest

from gateway.models.hub import Hub, ModelUnavailableError
from gateway.models.locate import fault
from tests.hub_server import BASE, COMMIT, HubServer, hub_server
from tests.support import MODEL

_WEIGHTS = (MODEL / "model.bin").read_bytes()
_SHA256 = hashlib.sha256(_WEIGHTS).hexdigest()

pytestmark = pytest.mark.slow


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub that answers; no connection of the hub client outlives the test."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    huggingface_hub.close_session()
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


def test_the_rest_is_asked_for(server: HubServer, hub: Hub, part: Path) -> None:
    """What another process fetched before it died is not fetched again."""
    part.write_bytes(_WEIGHTS[:1_234_567])
    folder = hub.download(BASE)

    assert server.resumed_at == [1_234_567]
    assert (folder / "model.bin").read_bytes() == _WEIGHTS
    assert fault(folder) is None
    assert not part.exists()


def test_nothing_is_asked_for_twice(server: HubServer, hub: Hub) -> None:
    """The hub client takes over what lies in the cache: it is sent once, and asked about twice."""
    hub.download(BASE)
    first = _times_asked(server)
    hub.download(BASE)

    assert first == 3
    assert _times_asked(server) == first


def test_a_wrong_beginning(server: HubServer, hub: Hub, part: Path) -> None:
    """The checksum finds it, it is deleted, and the next download is whole."""
    part.write_bytes(b"x" * 1_000_000)
    with pytest.raises(ModelUnavailableError, match="not what the hub announced"):
        hub.download(BASE)
    kept = list(part.parent.iterdir())

    assert kept == []
    assert fault(hub.download(BASE)) is None


def test_another_process_is_at_it(hub: Hub, part: Path) -> None:
    """Its file is left alone, and the model is fetched all the same."""
    with part.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        folder = hub.download(BASE)

        assert part.stat().st_size == 0
    assert fault(folder) is None
