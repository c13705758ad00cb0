"""The process's own memory: how much there is, and what the allocator shall give back of it.

glibc keeps what was freed for the next time, and the larger the blocks were that it has seen, the more: a
server that was busy once would stay as large as it was then.
"""

import ctypes
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread

logger = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
"""How often it is looked whether memory can be given back."""

WORTH_BYTES = 32 * 1024 * 1024
"""So much more than after the last time: then it is worth to look, which takes milliseconds."""

_CGROUP = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

_LARGE_BYTES = 1024 * 1024
"""Blocks from here on are the system's, and go back at once. glibc itself moves that bound up to 32 MB."""

_ARENAS = 4
"""As many heaps as threads that do something at the same time; else there are eight for each core."""


def bound_allocator() -> bool:
    """Has large blocks go back when they are freed; False where the C library is another."""
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES) and mallopt(_M_ARENA_MAX, _ARENAS))
    return False


def resident_bytes() -> int:
    """What this process holds in memory; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


async def keep_small() -> None:
    """Has the allocator give back what is free, in a thread, whenever there may be much; until cancelled."""
    trim = _trimmer()
    if trim is None:
        return
    least = resident_bytes()
    while True:
        await anyio.sleep(LOOK_SECONDS)
        now = resident_bytes()
        if now < least + WORTH_BYTES:
            least = min(least, now)
            continue
        await anyio.to_thread.run_sync(trim)
        least = resident_bytes()


def available_bytes(cgroup: Path = _CGROUP, own: Path = _OWN_GROUP) -> int:
    """The machine's memory, or what the container may have of it (control groups, version 2 or 1)."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_limits(cgroup, own)])


def _limits(cgroup: Path, own: Path) -> list[int]:
    # Inside a container its own group is mounted as the root; outside, it has a path.
    paths = [""]
    with suppress(OSError):
        paths += [line.rpartition(":")[2].lstrip("/") for line in own.read_text().splitlines()]
    limits = []
    for path in paths:
        for file in (cgroup / path / "memory.max", cgroup / "memory" / path / "memory.limit_in_bytes"):
            with suppress(OSError, ValueError):  # ``max`` is none
                limits.append(int(file.read_text()))
    return limits


def _trimmer() -> Callable[[], object] | None:
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None
    # ctypes lets other Python threads run meanwhile.
    return lambda: trim(0)
