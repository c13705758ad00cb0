"""The memory that loaded models share: room is made by unloading what nobody uses, the oldest first."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import anyio

from gateway.aio import Changed
from gateway.errors import LoadFailedError


class Evictable(Protocol):
    """A loaded model, as far as its memory is concerned."""

    last_used: float

    @property
    def is_pinned(self) -> bool:
        """It is never unloaded."""

    @property
    def is_idle(self) -> bool:
        """Nobody uses it and it may be unloaded."""

    def evict(self) -> None:
        """Asks it to unload."""


class MemoryBudget:
    """Counts what loaded models take.

    Args:
        memory_budget: Bytes they may take together; 0 has no bound. One model alone may always be loaded.

    Attributes:
        changed: To be notified when a model's use changes, as room may be made then.
    """

    def __init__(self, memory_budget: int = 0) -> None:
        self._budget = memory_budget
        self._reserved: dict[Evictable, int] = {}
        # One at a time makes room, or two would both evict for the same room.
        self._turn = anyio.Lock()
        self.changed = Changed()

    @property
    def reserved_bytes(self) -> int:
        """Of all models together."""
        return sum(self._reserved.values())

    @asynccontextmanager
    async def reserve(self, model: Evictable, size: int) -> AsyncIterator[None]:
        """Waits for room, evicting idle models, and holds it until the context is left.

        Raises:
            LoadFailedError: There can be no room, as pinned models do not leave enough.
        """
        async with self._turn:
            while self._budget and self._reserved and self.reserved_bytes + size > self._budget:
                pinned = sum(taken for other, taken in self._reserved.items() if other.is_pinned)
                if pinned and pinned + size > self._budget:
                    raise LoadFailedError(
                        "memory budget",
                        f"it takes {size} bytes, the pinned models take {pinned}, "
                        f"and the memory budget is {self._budget}",
                    )
                idle = [other for other in self._reserved if other.is_idle]
                if idle:
                    min(idle, key=lambda other: other.last_used).evict()
                await self.changed.wait()
            self._reserved[model] = size
        try:
            yield
        finally:
            del self._reserved[model]
            self.changed.notify()
