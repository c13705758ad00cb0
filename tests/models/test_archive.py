"""Archives of models: what is packed comes out the same, and what a stranger packed does no harm."""

import gzip
import io
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.models import archive as archiving
from gateway.models.archive import SUMS, import_archive, write
from gateway.models.hub import WHISPER_REPOS, Hub
from gateway.models.store import sha256, whole_snapshot
from tests.support import MODEL

_BASE = WHISPER_REPOS["base"]
_FILES = {path.name: path.read_bytes() for path in MODEL.iterdir()}


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    """An empty cache."""
    return Hub("http://127.0.0.1:9", tmp_path / "cache")


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]  # modes as plain strings
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def _zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("name", ["model.tar", "model.tar.gz", "model.tgz"])
def test_there_and_back(tmp_path: Path, hub: Hub, name: str) -> None:
    """An exported model is imported under its own name, verified, and is the same in every byte."""
    write(MODEL, _BASE, tmp_path / name)

    assert import_archive(tmp_path / name, hub) == (_BASE, SUMS)
    assert _contents(whole_snapshot(_BASE, hub)) == _FILES
    assert {path.name for path in tmp_path.iterdir()} == {name, "cache"}


def test_the_same_model_gives_the_same_archive(tmp_path: Path) -> None:
    """So a checksum that somebody published holds for whoever packs it anew."""
    copy = Path(shutil.copytree(MODEL, tmp_path / "copy", copy_function=shutil.copyfile))
    write(MODEL, _BASE, tmp_path / "a.tar")
    write(copy, _BASE, tmp_path / "b.tar")

    assert sha256(tmp_path / "a.tar") == sha256(tmp_path / "b.tar")


@pytest.mark.parametrize(
    "pack",
    [
        lambda path: _tar(path, _FILES),
        lambda path: _tar(path, {f"./x/{name}": data for name, data in _FILES.items()}, "w:bz2"),
        lambda path: _tar(path, {f"x/{name}": data for name, data in _FILES.items()}, "w:xz"),
        lambda path: _zip(path, {"README.md": b"hello", "x/y/z.py": b"", **_FILES}),
        lambda path: shutil.copytree(MODEL, path / "deep" / "down").parents[1],
    ],
)
def test_other_packings(tmp_path: Path, hub: Hub, pack: Callable[[Path], Path]) -> None:
    """Archives and folders of others come in under the name that is given; strange files stay outside."""
    assert import_archive(pack(tmp_path / "model"), hub, repo="org/mini") == ("org/mini", None)
    assert _contents(whole_snapshot("org/mini", hub)) == _FILES


def test_a_folder_of_a_cache(tmp_path: Path, hub: Hub) -> None:
    """A repository's folder, carried over from another cache with its links, knows its name."""
    elsewhere = Hub(None, tmp_path / "stick")
    write(MODEL, _BASE, tmp_path / "a.tar")
    import_archive(tmp_path / "a.tar", elsewhere)

    assert import_archive(elsewhere.root(_BASE), hub) == (_BASE, None)
    assert _contents(whole_snapshot(_BASE, hub)) == _FILES


def test_a_name_is_needed(tmp_path: Path, hub: Hub) -> None:
    """What does not carry one is not given one."""
    with pytest.raises(StoreError, match="--name"):
        import_archive(_zip(tmp_path / "m.zip", _FILES), hub)


def test_a_checksum_of_the_archive(tmp_path: Path, hub: Hub) -> None:
    """Holds, or nothing is unpacked; a folder has none."""
    path = _zip(tmp_path / "m.zip", _FILES)

    assert import_archive(path, hub, repo="org/a", expected=sha256(path).upper()) == ("org/a", "--sha256")
    with pytest.raises(StoreError, match="has the SHA-256"):
        import_archive(path, hub, repo="org/b", expected="0" * 64)
    with pytest.raises(StoreError, match="is a folder"):
        import_archive(MODEL, hub, repo="org/b", expected="0" * 64)
    assert not hub.root("org/b").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("  model.bin", "  other.bin"), "model.bin is not listed"),
        (lambda text: text + "0" * 64 + "  vocabulary.txt\n", "vocabulary.txt is missing"),
        (lambda text: text.replace("a", "b"), "is not what SHA256SUMS says"),
        (lambda text: "hello\n" + text, "no list of SHA-256"),
    ],
)
def test_checksums_that_do_not_hold(
    tmp_path: Path, hub: Hub, change: Callable[[str], str], said: str
) -> None:
    """Each way in which list and files can differ is told, and nothing is imported."""
    text = "".join(f"{sha256(path)}  {path.name}\n" for path in sorted(MODEL.iterdir()))
    path = _zip(tmp_path / "m.zip", {**_FILES, SUMS: change(text).encode()})
    with pytest.raises(StoreError, match=said):
        import_archive(path, hub, repo="org/mini")

    assert list(hub.cache.iterdir()) == []


@pytest.mark.parametrize("pack", [_tar, _zip])
@pytest.mark.parametrize("name", ["../model.bin", "x/../../model.bin", "/etc/model.bin", "../README"])
def test_paths_that_lead_out(
    tmp_path: Path, hub: Hub, pack: Callable[[Path, dict[str, bytes]], Path], name: str
) -> None:
    """One of them is enough to refuse the archive, and nothing is written outside."""
    path = pack(tmp_path / "m", {**_FILES, name: b"out"})
    with pytest.raises(StoreError, match="leads out"):
        import_archive(path, hub, repo="org/mini")

    assert list(hub.cache.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"m", "cache"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices(tmp_path: Path, hub: Hub, kind: bytes) -> None:
    """They are refused, whatever they are called."""
    path = _tar(tmp_path / "m.tar", _FILES)
    with tarfile.open(path, "a") as tar:
        entry = tarfile.TarInfo("notes")
        entry.type, entry.linkname = kind, "/etc/passwd"
        tar.addfile(entry)
    with pytest.raises(StoreError, match="'notes' is a link or a device"):
        import_archive(path, hub, repo="org/mini")

    assert list(hub.cache.iterdir()) == []


def test_links_in_zip(tmp_path: Path, hub: Hub) -> None:
    """A zip keeps them in its attributes."""
    path = _zip(tmp_path / "m.zip", _FILES)
    with zipfile.ZipFile(path, "a") as archive:
        entry = zipfile.ZipInfo("notes")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(StoreError, match="'notes' is a link or a device"):
        import_archive(path, hub, repo="org/mini")


def test_bombs(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """What swells beyond any model is stopped while it is unpacked; so are crowds of files."""
    monkeypatch.setattr(archiving, "MAX_TEXT_BYTES", 1_000_000)
    path = _zip(tmp_path / "m.zip", {**_FILES, "vocabulary.txt": bytes(1_000_001)})
    with pytest.raises(StoreError, match=r"vocabulary\.txt is too large"):
        import_archive(path, hub, repo="org/mini")
    monkeypatch.setattr(archiving, "MAX_ENTRIES", 100)
    with pytest.raises(StoreError, match="more than 100 files"):
        import_archive(_tar(tmp_path / "m.tar", {str(n): b"" for n in range(101)}), hub, repo="org/mini")

    assert list(hub.cache.iterdir()) == []


def test_a_header_bomb(tmp_path: Path, hub: Hub) -> None:
    """A header that says it has gigabytes is not read into memory."""
    entry = tarfile.TarInfo("long")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 4 << 30
    (tmp_path / "m.tar.gz").write_bytes(gzip.compress(entry.tobuf() + bytes(4_000_000)))
    with pytest.raises(StoreError, match="a header is too large"):
        import_archive(tmp_path / "m.tar.gz", hub, repo="org/mini")


@pytest.mark.parametrize("name", ["m.tar", "m.tar.gz", "m.zip"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_broken_off_copies(tmp_path: Path, hub: Hub, name: str, share: float) -> None:
    """Wherever a copy broke off it is told in one line, and the cache is as it was."""
    path = tmp_path / name
    if name == "m.zip":
        _zip(path, _FILES)
    else:
        write(MODEL, _BASE, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(StoreError) as caught:
        import_archive(path, hub, repo="org/mini")

    assert "\n" not in str(caught.value)
    assert list(hub.cache.iterdir()) == []


def test_no_model_and_two_models(tmp_path: Path, hub: Hub) -> None:
    """An archive with neither one nor the other is none of ours."""
    both = {f"{folder}/{name}": data for folder in "ab" for name, data in _FILES.items()}
    twice = _zip(tmp_path / "twice.zip", both)
    with pytest.raises(StoreError, match=r"missing model\.bin"):
        import_archive(_zip(tmp_path / "none.zip", {"README": b""}), hub, repo="org/mini")
    with pytest.raises(StoreError, match="two folders"):
        import_archive(twice, hub, repo="org/mini")
    with zipfile.ZipFile(twice) as archive:
        archive.extractall(tmp_path / "unpacked")
    with pytest.raises(StoreError, match="several models"):
        import_archive(tmp_path / "unpacked", hub, repo="org/mini")


@pytest.mark.parametrize("kind", ["gnu", "pax"])
@pytest.mark.promise("an imported archive cannot fill the disk with zeros")
def test_sparse_members(tmp_path: Path, hub: Hub, kind: str) -> None:
    """A few bytes that would become gigabytes of zeros are refused before any is written."""
    entry = tarfile.TarInfo("model.bin")
    if kind == "pax":
        entry.pax_headers = {
            "GNU.sparse.major": "0",
            "GNU.sparse.size": str(1 << 40),
            "GNU.sparse.map": "0,0",
        }
        tar_format = tarfile.PAX_FORMAT
    else:
        entry.type = tarfile.GNUTYPE_SPARSE
        tar_format = tarfile.GNU_FORMAT
    with tarfile.open(tmp_path / "bomb.tar", "w", format=tar_format) as tar:
        tar.addfile(entry)

    with pytest.raises(StoreError, match="sparse"):
        import_archive(tmp_path / "bomb.tar", hub)
    assert not list(hub.cache.iterdir())


@pytest.mark.parametrize("root", ["models--..--..", "models--.--x", "models--a--..", "models--a--b--c"])
def test_names_that_are_no_repository(tmp_path: Path, hub: Hub, root: str) -> None:
    """What an archive calls itself is held to what a user may type."""
    files = {f"{root}/{name}": data for name, data in _FILES.items()}

    with pytest.raises(StoreError):
        import_archive(_tar(tmp_path / "model.tar", files), hub)
    assert not list(hub.cache.iterdir())


def test_json_that_is_nested_without_end(tmp_path: Path, hub: Hub) -> None:
    """No reader's stack is put to the test."""
    files = _FILES | {"config.json": b"[" * 1_000_000}

    with pytest.raises(StoreError, match="nested too deeply"):
        import_archive(_tar(tmp_path / "model.tar", files), hub, repo=_BASE)


_KILLED = """
import os, signal, sys
from pathlib import Path
import gateway.models.archive, gateway.models.store
from gateway.models.archive import import_archive
from gateway.models.hub import Hub
place, number = sys.argv[3].split(":")
module, _, name = place.rpartition(".")
owner = Path if module == "Path" else sys.modules[module]
real, left = getattr(owner, name), int(number)
def die_at_last(*args, **kwargs):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return real(*args, **kwargs)
setattr(owner, name, die_at_last)
import_archive(Path(sys.argv[1]), Hub("http://127.0.0.1:9", Path(sys.argv[2])))
"""


@pytest.mark.parametrize(
    "place",
    [
        "gateway.models.archive._copy:0",  # its calls, and after how many of them the process is killed
        "gateway.models.archive._copy:2",
        "gateway.models.archive._verify:0",
        "gateway.models.archive.install:0",
        "Path.replace:0",
        "Path.replace:1",
        "Path.symlink_to:1",
        "Path.rename:0",
        "Path.rename:1",
    ],
)
def test_an_import_that_was_killed(tmp_path: Path, hub: Hub, place: str) -> None:
    """Nothing stands under the model's name, and the next import takes away what was left and is whole."""
    write(MODEL, _BASE, tmp_path / "model.tar")
    arguments = [sys.executable, "-c", _KILLED, str(tmp_path / "model.tar"), str(hub.cache), place]
    killed = subprocess.run(arguments, check=False, timeout=60)
    left = {path.name for path in hub.cache.iterdir()}
    imported = import_archive(tmp_path / "model.tar", hub)

    assert killed.returncode == -signal.SIGKILL
    assert all(name.startswith(".import-") for name in left)
    assert imported == (_BASE, SUMS)
    assert [path.name for path in hub.cache.iterdir()] == [hub.root(_BASE).name]
    assert _contents(whole_snapshot(_BASE, hub)) == _FILES
    assert len([*(hub.root(_BASE) / "blobs").iterdir()]) == len({*_FILES.values()})


def test_two_imports_at_the_same_time(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slower one is told; what the faster one has put there stays."""
    write(MODEL, _BASE, tmp_path / "model.tar")

    def other_is_faster(root: Path, *rest: object) -> None:
        monkeypatch.undo()
        import_archive(tmp_path / "model.tar", hub)
        (root / "blobs").mkdir(parents=True)

    monkeypatch.setattr("gateway.models.store._fill", other_is_faster)
    with pytest.raises(StoreError, match="somebody else"):
        import_archive(tmp_path / "model.tar", hub)

    assert _contents(whole_snapshot(_BASE, hub)) == _FILES
