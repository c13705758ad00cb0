"""A folder in the cache for what is not whole yet: gone with the work, or if that was killed, the next."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def workspace(cache: Path, prefix: str) -> Iterator[Path]:
    """An empty folder on the cache's disk, so that what is done can be moved into its place.

    Those of processes that were killed are removed first: a living one keeps its own locked.

    Args:
        prefix: Of the folder's name; nothing else in the cache begins with it.
    """
    cache.mkdir(parents=True, exist_ok=True)
    for left in cache.glob(f"{prefix}*"):
        with suppress(OSError), _locked(left):
            shutil.rmtree(left, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory(prefix=prefix, dir=cache, ignore_cleanup_errors=True) as name,
        _locked(Path(name)),
    ):
        yield Path(name)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keeps a folder locked, which the kernel undoes however the process ends.

    Raises:
        BlockingIOError: Somebody else does.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
