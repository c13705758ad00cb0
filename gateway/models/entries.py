"""What an archive or a folder holds, one file after the other.

An archive with links, devices or paths that lead elsewhere is refused as a whole, whatever else it holds.
"""

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, cast

from gateway.models.store import StoreError

MAX_HEADER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """A regular file; to be opened before the next one is asked for."""

    path: PurePosixPath
    open: Callable[[], IO[bytes]]


def folder_entries(source: Path) -> Iterator[Entry]:
    """The files of the one folder at or below ``source`` that holds weights; links are followed.

    Raises:
        StoreError: There are several.
    """
    found = sorted(path.parent for path in source.rglob("model.bin") if path.is_file())
    if len(found) > 1:
        raise StoreError(f"{source} holds several models: name one of their folders")
    for path in sorted(found[0].iterdir() if found else ()):
        if path.is_file():
            yield Entry(PurePosixPath(path.relative_to(source)), partial(_open, path))


def zip_entries(file: IO[bytes]) -> Iterator[Entry]:
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
                yield Entry(path, partial(archive.open, entry))


def tar_entries(file: IO[bytes]) -> Iterator[Entry]:
    """The files of a tar archive, plain or compressed with gzip, bzip2 or xz.

    Raises:
        StoreError: It is unsafe. Broken archives raise what tarfile and the decompressors raise.
    """
    with tarfile.open(fileobj=_Meek(_decompressed(file)), mode="r:") as archive:
        for entry in archive:
            if not (entry.isreg() or entry.isdir()):
                raise StoreError(f"{entry.name!r} is a link or a device")
            path = _safe(entry.name)
            if entry.isreg():
                yield Entry(path, partial(_extract, archive, entry))


def _open(path: Path) -> IO[bytes]:
    return path.open("rb")


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
