"""What tests of all rooms share: the miniature Whisper, its recordings, and a running server."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.engine.whisper.engine import WhisperSpec
from tests.support import MODEL, LiveServer, Sample, live_server, load_samples

# Worker processes unpickle the tests' engines, so they must find this folder, as this process does.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(Path(__file__).resolve().parent.parent), os.environ.get("PYTHONPATH")])
)


@pytest.fixture(scope="session")
def mini_whisper() -> WhisperSpec:
    """The miniature Whisper, as the gateway would serve it."""
    return WhisperSpec(name="mini-whisper", path=MODEL, cpu_threads=1)


@pytest.fixture(scope="session")
def samples() -> dict[str, Sample]:
    """The miniature's recordings by name."""
    return load_samples()


@pytest.fixture(scope="session")
def server(mini_whisper: WhisperSpec) -> Iterator[LiveServer]:
    """The server most tests share: the miniature Whisper with default settings."""
    with live_server([mini_whisper]) as running:
        yield running
