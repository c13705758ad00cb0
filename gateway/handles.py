"""A few file handles kept back for when there are none left: for a worker's pipes, and for probes."""

import errno
import logging
import os
import resource
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

KEPT = 24
"""Twice what a worker's start takes, and some connections."""

LENT_SECONDS = 5.0
"""So long nobody takes back what was lent."""

QUIET_SECONDS = 60.0
"""The log says it once, and once more where it goes on."""


def is_lack(error: object) -> bool:
    """Whether it says that there is no handle left, here or in the whole system."""
    return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)


class Reserve:
    """Open handles of nothing, to be closed when others are needed.

    Args:
        clock: Seconds.
    """

    def __init__(self, count: int = KEPT, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._clock = clock
        self._held: list[int] = []
        self._lent_at: float | None = None
        self._told_at: float | None = None

    @property
    def held(self) -> int:
        """So many are kept back."""
        return len(self._held)

    def fill(self) -> None:
        """Takes as many as there shall be, as far as there are any, unless some were lent right now."""
        if self._lent_at is not None and self._clock() - self._lent_at < LENT_SECONDS:
            return
        try:
            while len(self._held) < self._count:
                self._held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            return  # what there is must do

    def lend(self) -> None:
        """Frees them for whoever asks next, and says in the log that it had to."""
        self._lent_at = self._clock()
        if self._told_at is None or self._lent_at - self._told_at >= QUIET_SECONDS:
            self._told_at = self._lent_at
            soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            logger.error("out of file handles (limit %d): probes and workers get those kept back", soft)
        while self._held:
            os.close(self._held.pop())


RESERVE = Reserve()
"""The process's own, as its handles are; empty until `Reserve.fill`."""
