"""The memory that loaded models share: room is made by unloading what nobody uses, the oldest first."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import anyio

from gateway.engine.replica import LoadFailedError


class Shelved(Protocol):
    """A loaded model, as far as the shelf is concerned."""

    last_used: float

    @property
    def is_pinned(self) -> bool:
        """It is never unloaded."""

    @property
    def is_idle(self) -> bool:
        """Nobody uses it and it may be unloaded."""

    def evict(self) -> None:
        """Asks it to unload."""


class Shelf:
    """Counts what loaded models take.

    Args:
        budget_bytes: What they may take together; 0 has no bound. One model alone may always be loaded.
    """

    def __init__(self, budget_bytes: int = 0) -> None:
        self._budget = budget_bytes
        self._taken: dict[Shelved, int] = {}
        # One at a time makes room, or two would both evict for the same room.
        self._turn = anyio.Lock()
        self._changed = anyio.Event()

    @property
    def taken_bytes(self) -> int:
        """Of all models on the shelf."""
        return sum(self._taken.values())

    @asynccontextmanager
    async def place(self, model: Shelved, size: int) -> AsyncIterator[None]:
        """Waits for room, evicting idle models, and holds it until the context is left.

        Raises:
            LoadFailedError: There can be no room, as pinned models do not leave enough.
        """
        async with self._turn:
            while self._budget and self._taken and self.taken_bytes + size > self._budget:
                pinned = sum(taken for other, taken in self._taken.items() if other.is_pinned)
                if pinned and pinned + size > self._budget:
                    raise LoadFailedError(
                        "memory budget",
                        f"it takes {size} bytes, the pinned models take {pinned}, "
                        f"and the memory budget is {self._budget}",
                    )
                changed = self._changed
                idle = [other for other in self._taken if other.is_idle]
                if idle:
                    min(idle, key=lambda other: other.last_used).evict()
                await changed.wait()
            self._taken[model] = size
        try:
            yield
        finally:
            del self._taken[model]
            self.note_change()

    def note_change(self) -> None:
        """A model's use changed."""
        self._changed.set()
        self._changed = anyio.Event()
