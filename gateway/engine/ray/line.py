"""The calls that wait in a shared replica, and which of them become one engine call. Sans-I/O."""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(eq=False, slots=True)
class Waiting:
    """A gateway's call.

    Attributes:
        rows: So many it has.
        key: Rows of equal keys may share an engine call.
        alone: Nothing else may run beside it, in its engine call or in another lane.
    """

    rows: int
    key: Hashable
    alone: bool = False


class Line:
    """Calls in the order of their coming; each lane takes as many of one key as fit a batch.

    A call is never split, so one that is larger than a batch is decoded as it came.

    Args:
        lanes: Engine calls at the same time.
        max_batch: The most rows of one.
    """

    def __init__(self, lanes: int, max_batch: int) -> None:
        self._lanes = lanes
        self._max_batch = max_batch
        self._waiting: deque[Waiting] = deque()
        self._running: list[list[Waiting]] = []

    @property
    def rows(self) -> int:
        """Waiting and under way."""
        return sum(call.rows for call in self._waiting) + sum(
            call.rows for batch in self._running for call in batch
        )

    @property
    def busy(self) -> int:
        """Engine calls under way."""
        return len(self._running)

    def put(self, call: Waiting) -> None:
        """A call comes."""
        self._waiting.append(call)

    def discard(self, call: Waiting) -> bool:
        """Nobody wants the call any more. Returns whether it still waited; what runs, runs on."""
        if call not in self._waiting:
            return False
        self._waiting.remove(call)
        return True

    def take(self) -> list[Waiting]:
        """The calls of the next engine call; empty while there is no lane for it, or nothing to do."""
        if not self._waiting or len(self._running) >= self._lanes or self._is_isolated:
            return []
        lead = self._waiting[0]
        if lead.alone and self._running:
            return []  # and nothing overtakes it, or it might wait for good
        batch = [self._waiting.popleft()]
        if not lead.alone:
            rows = lead.rows
            for call in list(self._waiting):
                if call.key == lead.key and not call.alone and rows + call.rows <= self._max_batch:
                    self._waiting.remove(call)
                    batch.append(call)
                    rows += call.rows
        self._running.append(batch)
        return batch

    def done(self, batch: list[Waiting]) -> None:
        """An engine call has ended."""
        self._running.remove(batch)

    @property
    def _is_isolated(self) -> bool:
        return any(call.alone for batch in self._running for call in batch)
