"""The event loop's clock, which a test puts forward: a minute takes no time, and needs no margin."""

import asyncio

import pytest


class Clock:
    """Time as the tasks of one loop see it: `anyio.current_time`, deadlines and sleeps."""

    def __init__(self, loop: asyncio.AbstractEventLoop, patch: pytest.MonkeyPatch) -> None:
        self._time = loop.time
        self._ahead = 0.0
        patch.setattr(loop, "time", self.time)

    def time(self) -> float:
        """Seconds, as the loop would have them, and how far it was put forward."""
        return self._time() + self._ahead

    def advance(self, seconds: float) -> None:
        """What is due within so many seconds is due when the loop turns next."""
        self._ahead += seconds
