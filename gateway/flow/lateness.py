"""How late a live session's texts come: from what arrives and what is emitted to the metrics."""

from collections import deque
from collections.abc import Callable

from gateway.metrics import Metrics
from gateway.transcript.events import (
    BufferCommitted,
    ItemCompleted,
    ItemDelta,
    ItemFailed,
    LiveEvent,
    Refused,
    SpeechStarted,
)

GRAIN_SECONDS = 0.25
"""Audio that came within so long is taken to have come together, and at its end."""

KEPT_SECONDS = 10.0
"""A turn that ends is told to have ended at most so long before what was cut last."""

MOST = 512
"""Arrivals remembered; of audio that waits longer than these span nothing is measured."""


class Lateness:
    """One session's. Times of audio are seconds from its first sample.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float], metrics: Metrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._arrivals: deque[tuple[float, float | None]] = deque(maxlen=MOST)
        """Until where the audio was there, and when; None where nobody can have said it just then."""
        self._came = 0.0
        self._begun: dict[str, float] = {}
        self._ended: dict[str, float] = {}

    def received(self, seconds: float, *, is_ahead: bool) -> None:
        """More audio came.

        Args:
            is_ahead: Faster than anybody speaks, so that it says nothing about how late its text is.
        """
        now = None if is_ahead else self._clock()
        self._came += seconds
        last = self._arrivals[-1] if self._arrivals else None
        before = self._arrivals[-2][0] if len(self._arrivals) > 1 else 0.0
        if last is not None and self._came - before <= GRAIN_SECONDS and (last[1] is None) == is_ahead:
            self._arrivals.pop()
        self._arrivals.append((self._came, now))

    def cut(self, position: float) -> None:
        """The audio up to here was looked at."""
        while self._arrivals and self._arrivals[0][0] < position - KEPT_SECONDS:
            self._arrivals.popleft()

    def emitted(self, event: LiveEvent) -> None:
        """The session says this."""
        match event:
            case SpeechStarted(item_id, seconds):
                self._note(self._begun, item_id, seconds)
            case BufferCommitted(item_id, end):
                self._note(self._ended, item_id, end)
            case ItemDelta(item_id):
                if (began := self._begun.pop(item_id, None)) is not None:
                    self._metrics.first_delta_seconds.labels("live").observe(self._clock() - began)
            case ItemCompleted(item_id):
                self._begun.pop(item_id, None)
                if (ended := self._ended.pop(item_id, None)) is not None:
                    self._metrics.speech_end_to_final_seconds.observe(self._clock() - ended)
            case ItemFailed(item_id, error):
                self._begun.pop(item_id, None)
                self._ended.pop(item_id, None)
                self._metrics.refuse(error)
            case Refused(error):
                self._metrics.refuse(error)

    def _note(self, times: dict[str, float], item_id: str, seconds: float) -> None:
        for until, at in self._arrivals:
            if until >= seconds:
                if at is not None:
                    # Of what came together it was said a little before the end.
                    times[item_id] = at - min(until - seconds, GRAIN_SECONDS)
                return
