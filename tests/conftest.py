"""What tests of all rooms share: the miniature Whisper, its recordings, and a running server."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import hypothesis
import pytest

from gateway.engine.whisper.engine import WhisperSpec
from tests.clients.table import ClientsTable
from tests.clock import Clock
from tests.promises import Promises
from tests.support import MODEL, LiveServer, Sample, block_sources, live_server, load_samples

# Worker processes unpickle the tests' engines, so they must find this folder, as this process does.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(Path(__file__).resolve().parent.parent), os.environ.get("PYTHONPATH")])
)

block_sources()

# How long an example takes, or its making, says how busy the machine is and nothing about the code. A test
# that hangs is ended by pytest's timeout.
hypothesis.settings.register_profile(
    "anywhere", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("anywhere")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--promises FILE`` prints what is promised, ``--clients FILE`` what other clients do."""
    parser.addoption("--promises", type=Path, metavar="FILE", help="print the marked promises to a page")
    parser.addoption("--clients", type=Path, metavar="FILE", help="print what was tried with which client")


def pytest_configure(config: pytest.Config) -> None:
    """The process that starts the others collects from all."""
    for option, printer in (("--promises", Promises), ("--clients", ClientsTable)):
        page = config.getoption(option)
        if page is not None and not hasattr(config, "workerinput"):
            config.pluginmanager.register(printer(page))


def pytest_itemcollected(item: pytest.Item) -> None:
    """A promise travels with its test's reports."""
    for mark in item.iter_markers("promise"):
        item.user_properties.append(("promise", mark.args[0]))


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the test's event loop."""
    return Clock(asyncio.get_running_loop(), monkeypatch)


@pytest.fixture(scope="session")
def mini_whisper() -> WhisperSpec:
    """The miniature Whisper, as the gateway would serve it."""
    return WhisperSpec(name="mini-whisper", path=MODEL, cpu_threads=1)


@pytest.fixture(scope="session")
def samples() -> dict[str, Sample]:
    """The miniature's recordings by name."""
    return load_samples()


@pytest.fixture(scope="session")
def quick_whisper(mini_whisper: WhisperSpec) -> WhisperSpec:
    """The miniature with no more context than a chunk needs: it decodes several times as fast."""
    return replace(mini_whisper, audio_context="fit")


@pytest.fixture(scope="session")
def server(quick_whisper: WhisperSpec) -> Iterator[LiveServer]:
    """The server most tests share: the miniature Whisper with default settings, but for its context."""
    with live_server([quick_whisper]) as running:
        yield running
