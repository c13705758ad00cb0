"""The turns of a live session as spans of its trace: from their beginning, or first row, to their text."""

from gateway import tracing
from gateway.tracing import NOTHING, Span
from gateway.transcript.events import (
    BufferCommitted,
    ItemCompleted,
    ItemDelta,
    ItemFailed,
    LiveEvent,
    SpeechStarted,
)

MOST = 64
"""Turns under way; speech that was cleared has no end, and gives way to what comes later."""


class TurnSpans:
    """One session's; made where its trace is the current one."""

    def __init__(self) -> None:
        self._session = tracing.current()
        self._open: dict[str, Span] = {}

    def of(self, item_id: str) -> Span:
        """The item's span."""
        if self._session is NOTHING:
            return NOTHING
        span = self._open.get(item_id)
        if span is None:
            span = self._open[item_id] = self._session.child("turn", item_id=item_id)
            if len(self._open) > MOST:
                self._open.pop(next(iter(self._open))).end()
        return span

    def emitted(self, event: LiveEvent) -> None:
        """The session says this."""
        match event:
            case SpeechStarted(item_id):
                self.of(item_id).mark("speech started")
            case BufferCommitted(item_id):
                self.of(item_id).mark("speech ended")
            case ItemDelta(item_id):
                self.of(item_id).mark("words")
            case ItemCompleted(item_id):
                self._end(item_id)
            case ItemFailed(item_id, error):
                self.of(item_id).fail(error.reason)
                self._end(item_id)

    def close(self) -> None:
        """Ends them all, with the session."""
        for span in self._open.values():
            span.end()
        self._open.clear()

    def _end(self, item_id: str) -> None:
        self.of(item_id).end()
        self._open.pop(item_id, None)
