"""Models as archives, for places without a network: written with checksums, read with distrust.

Of what is read only the model's own files are taken, into an empty folder. An archive with links, devices or
paths that lead elsewhere is refused as a whole, whatever else it holds.
"""

import bz2
import fnmatch
import gzip
import hashlib
import io
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, cast

from gateway.errors import StoreError
from gateway.models.hub import MODEL_FILES, Hub
from gateway.models.speakers import weights as speakers
from gateway.models.store import install, repo_of, sha256
from gateway.models.workspace import workspace

SUMS = "SHA256SUMS"

MAX_WEIGHTS_BYTES = 16 << 30
"""Whisper's largest has 6 GB in float32."""

MAX_TEXT_BYTES = 64 << 20
"""Of each other file; the largest tokenizer has 4 MB."""

MAX_ENTRIES = 10_000

MAX_HEADER_BYTES = 1 << 20

_CHUNK = 1 << 18
_ROOT = re.compile(r"models--([\w.-]+?)--([\w.-]+)")
_SUM = re.compile(r"([0-9a-fA-F]{64}) [ *](?:\./)?(.+)")
_UNREADABLE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError),
    *(RuntimeError, NotImplementedError, ValueError, OverflowError),  # zipfile's, of what it cannot do
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A regular file of an archive or a folder; to be opened before the next one is asked for."""

    path: PurePosixPath
    open: Callable[[], IO[bytes]]


def import_archive(
    source: Path, hub: Hub, *, repo: str | None = None, expected: str | None = None
) -> tuple[str, str | None]:
    """Puts the model of an archive (tar, also compressed, or zip) or a folder into the cache.

    Args:
        source: Links in a folder are followed.
        repo: The model's name in the cache; None takes the one that archive or folder carry.
        expected: SHA-256 that the archive must have, in hexadecimal.

    Returns:
        Its name, and by which checksum it was verified; ``speakers`` are what tells speakers apart.

    Raises:
        StoreError: It is unsafe, broken, too large, no Whisper model, without a name, or not what its
            checksums say. The cache is as it was.
        OSError: The disk says no.
    """
    with workspace(hub.cache, ".import-") as outer:
        folder = outer / "model"
        folder.mkdir()
        carried, verified = _read(source, folder, expected)
        if all((folder / name).exists() for name in speakers.CHECKPOINTS):
            speakers.place(folder, hub)
            return speakers.NAME, verified
        repo = repo or carried
        if repo is None:
            raise StoreError(f"{source} does not say which model it is: name it with --name")
        install(folder, repo, hub)
    return repo, verified


def _read(source: Path, folder: Path, expected: str | None) -> tuple[str | None, str | None]:
    """Takes the model's files into an empty folder. Returns the name they carry, and what verified them."""
    if source.is_dir():
        if expected is not None:
            raise StoreError(f"{source} is a folder: a checksum is of an archive")
        return _take(_folder_entries(source), folder, source.resolve().parts)
    try:
        with source.open("rb") as file:
            if expected is not None:
                found = hashlib.file_digest(file, "sha256").hexdigest()
                if found != expected.lower():
                    raise StoreError(f"{source} has the SHA-256 {found}, not {expected.lower()}")
                file.seek(0)
            entries = _zip_entries if zipfile.is_zipfile(file) else _tar_entries
            file.seek(0)
            repo, verified = _take(entries(file), folder)
    except _UNREADABLE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise StoreError(f"{source} cannot be read: {reason or type(error).__name__}") from error
    return repo, verified if expected is None else "--sha256"


def write(folder: Path, repo: str, archive: Path) -> None:
    """Packs a model and its checksums; the archive is there as a whole or not at all.

    Args:
        repo: Its name in the cache, or that of what tells speakers apart.
        archive: Compressed where its name ends in ``.tar.gz`` or ``.tgz``; weights hardly get smaller by it.

    Raises:
        StoreError: It cannot be written.
    """
    root = repo if repo == speakers.NAME else f"models--{repo.replace('/', '--')}"
    paths = [path for path in sorted(folder.iterdir()) if _is_wanted(path.name) and path.name != SUMS]
    sums = "".join(f"{sha256(path)}  {path.name}\n" for path in paths).encode()
    temporary = archive.with_name(f".{archive.name}.{os.getpid()}.part")
    try:
        compressed = archive.name.endswith((".tar.gz", ".tgz"))
        with tarfile.open(temporary, "w:gz" if compressed else "w", dereference=True) as tar:
            entry = tarfile.TarInfo(f"{root}/{SUMS}")
            entry.size, entry.mode = len(sums), 0o644
            tar.addfile(entry, io.BytesIO(sums))
            for path in paths:
                tar.add(path, f"{root}/{path.name}", recursive=False, filter=_anonymous)
        temporary.replace(archive)
    except OSError as error:
        raise StoreError(f"{archive} cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same model gives the same archive, whoever packs it and when."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o644
    return entry


def _take(
    entries: Iterable[_Entry], folder: Path, parts: tuple[str, ...] = ()
) -> tuple[str | None, str | None]:
    home: PurePosixPath | None = None
    for number, entry in enumerate(entries):
        if number >= MAX_ENTRIES:
            raise StoreError(f"more than {MAX_ENTRIES} files: that is no model")
        name = entry.path.name
        if not _is_wanted(name):
            continue
        if home is not None and entry.path.parent != home:
            raise StoreError(f"model files in two folders, {home} and {entry.path.parent}")
        home = entry.path.parent
        if (folder / name).exists():
            raise StoreError(f"{name} is there twice")
        with entry.open() as file:
            _copy(file, folder / name)
    verified = _verify(folder)
    names = [_ROOT.fullmatch(part) for part in (*parts, *(home.parts if home else ()))]
    repo = next((f"{match[1]}/{match[2]}" for match in names if match), None)
    # As strictly as a name that is typed: the archive's is a stranger's word.
    return repo and repo_of(repo), SUMS if verified else None


def _is_wanted(name: str) -> bool:
    return (
        name == SUMS
        or name in speakers.CHECKPOINTS
        or any(fnmatch.fnmatchcase(name, pattern) for pattern in MODEL_FILES)
    )


def _copy(file: IO[bytes], target: Path) -> None:
    """Counts what really comes: sizes in headers may lie."""
    limit = MAX_WEIGHTS_BYTES if target.name == "model.bin" else MAX_TEXT_BYTES
    with target.open("xb") as out:
        while data := file.read(_CHUNK):
            limit -= len(data)
            if limit < 0:
                raise StoreError(f"{target.name} is too large")
            out.write(data)


def _verify(folder: Path) -> bool:
    """Holds the files against their checksums, and takes those away; False where there are none.

    Raises:
        StoreError: A file differs, or is missing here or there.
    """
    sums = folder / SUMS
    if not sums.exists():
        return False
    expected = {}
    for line in sums.read_text(errors="replace").splitlines():
        if not (match := _SUM.fullmatch(line)):
            raise StoreError(f"{SUMS} is no list of SHA-256 checksums")
        if _is_wanted(match[2]):
            expected[match[2]] = match[1].lower()
    sums.unlink()
    found = {path.name: sha256(path) for path in folder.iterdir()}
    for name in sorted(expected.keys() | found.keys()):
        if name not in found or name not in expected:
            raise StoreError(f"{name} is {'missing' if name not in found else f'not listed in {SUMS}'}")
        if found[name] != expected[name]:
            raise StoreError(f"{name} is not what {SUMS} says: it has the SHA-256 {found[name]}")
    return True


def _folder_entries(source: Path) -> Iterator[_Entry]:
    """The files of the one folder at or below ``source`` that holds weights; links are followed.

    Raises:
        StoreError: There are several.
    """
    found = sorted(path.parent for path in source.rglob("model.bin") if path.is_file())
    if len(found) > 1:
        raise StoreError(f"{source} holds several models: name one of their folders")
    for path in sorted(found[0].iterdir() if found else ()):
        if path.is_file():
            yield _Entry(PurePosixPath(path.relative_to(source)), partial(io.FileIO, path))


def _zip_entries(file: IO[bytes]) -> Iterator[_Entry]:
    """The files of a zip archive.

    Raises:
        StoreError: It is unsafe. Broken archives raise what zipfile raises.
    """
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise StoreError(f"{entry.filename!r} is a link or a device")
            path = _safe(entry.filename)
            if not entry.is_dir():
                yield _Entry(path, partial(archive.open, entry))


def _tar_entries(file: IO[bytes]) -> Iterator[_Entry]:
    """The files of a tar archive, plain or compressed with gzip, bzip2 or xz.

    Raises:
        StoreError: It is unsafe. Broken archives raise what tarfile and the decompressors raise.
    """
    with tarfile.open(fileobj=_Meek(_decompressed(file)), mode="r:") as archive:
        for entry in archive:
            if not (entry.isreg() or entry.isdir()):
                raise StoreError(f"{entry.name!r} is a link or a device")
            if entry.issparse():
                # A few bytes that become gigabytes of zeros; no tool writes weights so.
                raise StoreError(f"{entry.name!r} is a sparse file")
            path = _safe(entry.name)
            if entry.isreg():
                yield _Entry(path, partial(_extract, archive, entry))


def _extract(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    # None for what is no regular file, which this is.
    return cast("IO[bytes]", archive.extractfile(entry))


def _safe(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise StoreError(f"{name!r} leads out of the archive")
    return path


def _decompressed(file: IO[bytes]) -> IO[bytes]:
    head = file.read(6)
    file.seek(0)
    if head.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(file))
    if head.startswith(b"BZh"):
        return bz2.open(file)
    return lzma.open(file) if head == b"\xfd7zXZ\0" else file


class _Meek(io.RawIOBase):
    """A file for tarfile, which reads headers of any announced size into memory at once."""

    def __init__(self, inner: IO[bytes]) -> None:
        self._inner = inner

    def read(self, size: int = -1, /) -> bytes:
        """As files do, but ValueError for more than any sound header has."""
        if not 0 <= size <= MAX_HEADER_BYTES:
            raise ValueError("a header is too large")
        return self._inner.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """As files do."""
        return self._inner.seek(offset, whence)

    def tell(self) -> int:
        """As files do."""
        return self._inner.tell()
