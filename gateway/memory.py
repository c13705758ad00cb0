"""The process's own memory: how much there is, and that what is free of it goes back to the system.

glibc keeps what was freed for the next time, and the larger the blocks were that it has seen, the more: a
server that was busy once would stay as large as it was then.
"""

import logging
import os
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread

from gateway import allocator

logger = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
"""How often it is looked whether memory can be given back."""

WORTH_BYTES = 32 * 1024 * 1024
"""So much more than after the last time: then it is worth to look, which takes milliseconds."""

_CGROUP = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")


def resident_bytes() -> int:
    """What this process holds in memory; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


async def keep_small() -> None:
    """Has the allocator give back what is free, in a thread, whenever there may be much; until cancelled."""
    if not await anyio.to_thread.run_sync(allocator.trim):
        return
    least = resident_bytes()
    while True:
        await anyio.sleep(LOOK_SECONDS)
        now = resident_bytes()
        if now < least + WORTH_BYTES:
            least = min(least, now)
            continue
        await anyio.to_thread.run_sync(allocator.trim)
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
