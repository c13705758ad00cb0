"""Messages of WebSockets that are under way, within one budget: half received, or whole and worked on.

A live client may send 20 MB at once, and what it takes to read that is several times as much. So long ones
wait for each other where there are many, and short ones never do.
"""

from typing import Protocol

from gateway.metrics import Metrics

SHORT = 64 * 1024
"""Bytes that a connection may hold without counting: a second of speech in base64."""

STEP = 256 * 1024
"""What asyncio reads of a connection at once, before anybody can say that it is enough."""

LIMIT = 48 * 1024 * 1024
"""Bytes of all connections together: two of the longest messages, and what goes on beside them."""


class Holder(Protocol):
    """A connection."""

    def wait(self) -> None:
        """Reads no more for now."""

    def go_on(self) -> None:
        """Reads again."""


class UnderWay:
    """What all connections hold.

    Who has held something for longest always goes on, so that one gets done, whatever the others hold.

    Args:
        limit: Bytes.
    """

    def __init__(self, metrics: Metrics, limit: int = LIMIT) -> None:
        self._metric = metrics.websocket_bytes
        self._limit = limit
        self._held: dict[Holder, int] = {}
        self._waiting: set[Holder] = set()
        self._total = 0

    def hold(self, holder: Holder, size: int) -> None:
        """Takes note that a connection holds so many bytes now, and has it wait where that is too much."""
        before, now = self._held.get(holder, 0), size if size > SHORT else 0
        if before == now:
            return
        self._total += now - before
        self._metric.set(self._total)
        if now:
            self._held[holder] = now
        else:
            del self._held[holder]
        if now and holder not in self._waiting and not self._may_read(holder):
            self._waiting.add(holder)
            holder.wait()
        if now < before:
            self._let_go_on(holder)

    def _let_go_on(self, changed: Holder) -> None:
        if changed in self._waiting and changed not in self._held:
            self._waiting.discard(changed)
            changed.go_on()
        for holder in [each for each in self._held if each in self._waiting]:
            if not self._may_read(holder):
                return
            self._waiting.discard(holder)
            holder.go_on()

    def _may_read(self, holder: Holder) -> bool:
        """There is room should everybody who reads read once more, or nobody else is before this one."""
        reading = len(self._held) - len(self._waiting) + (holder in self._waiting)
        return self._total + reading * STEP <= self._limit or holder is next(iter(self._held))
