"""When a partial is due, and what load forbids: the one place that decides either."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

from gateway.audio.types import SAMPLE_RATE
from gateway.errors import OverloadedError
from gateway.flow.options import PartialOptions
from gateway.metrics import Metrics

WINDOW_SECONDS = 10.0
"""Final results that came so long ago say nothing about now."""

RECENT = 64
"""The most final results looked at, and the most pieces of audio."""

PARTIALS_UNTIL = 1.0
ADMIT_UNTIL = 2.5
"""Seconds a final may take, unless the engine is slower than this with nothing to wait for. Captions count as
live up to about five seconds after speech, so newcomers are refused well before."""

AHEAD_UNTIL = 0.5
"""Of the last seconds, the share with a final under way until which more are decoded ahead. In a pause nobody
knows whether a turn is over: most of those are thrown away, and others wait for them."""

AHEAD_WITHIN = 0.5
"""Seconds: where finals take no longer, there is room for more, however many are under way at once."""

PARTIALS_UNTIL_BUSY = 0.5
ADMIT_UNTIL_BUSY = 0.8
"""Seconds that a second of audio may take to be cut: at 1 the server itself, not its engine, is late."""

LEAST_SECONDS = 0.1
"""Audio is worked on in pieces of at least so much: the detector's gain has the same step. One that a command
cuts shorter takes no less, so that its length says nothing of how busy the machine is."""

SLOW = 3.0
"""Where a final alone takes long, so many times as long is too long."""

BACK_OFF = 2.0
"""A partial that failed or was superseded makes the next step so many times as long."""

MAX_STEP_SECONDS = 30.0
"""The longest step that failures lead to."""


class Load:
    """Whether the machine keeps up with all live sessions of a server: how long finals and cutting take.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float], metrics: Metrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._admit_until = ADMIT_UNTIL
        self._admit_until_busy = ADMIT_UNTIL_BUSY
        self._running: dict[object, float] = {}
        self._since = 0.0
        """When the first of those began that run."""
        self._spans: deque[tuple[float, float]] = deque(maxlen=RECENT)
        """From when to when one or more ran."""
        self._ended: deque[tuple[float, float]] = deque(maxlen=RECENT)
        self._alone: deque[float] = deque(maxlen=RECENT)
        self._sessions = 0
        self._cut: deque[tuple[float, float]] = deque(maxlen=RECENT)

    def cut(self, seconds: float, took: float) -> None:
        """Takes note that so many ``seconds`` of audio were decoded and cut, which ``took`` so many."""
        if seconds > 0:
            self._cut.append((self._clock(), took / max(seconds, LEAST_SECONDS)))

    @contextmanager
    def final(self, *, counts: bool) -> Iterator[None]:
        """Measures a final that waits for the engine, or is decoded, within the context.

        Args:
            counts: It says how loaded the machine is. Of a client faster than speech it says nothing.
        """
        with self._metrics.live_final_seconds.time():
            if not counts:
                yield
                return
            key, began, is_alone = object(), self._clock(), not self._running
            self._running[key] = began
            if is_alone:
                self._since = began
            try:
                yield
            finally:
                del self._running[key]
                if not self._running:
                    self._spans.append((self._since, self._clock()))
        # Not where it failed: that tells no time.
        now = self._clock()
        self._ended.append((now, now - began))
        # Where others wait too, how long one takes says nothing about the engine.
        if is_alone:
            self._alone.append(now - began)

    @property
    def lag(self) -> float:
        """Seconds that finals take at present: the median of the last ones, or the oldest that runs."""
        now = self._clock()
        ended = [seconds for at, seconds in self._ended if now - at < WINDOW_SECONDS]
        oldest = max((now - began for began in self._running.values()), default=0.0)
        return max(median(ended) if ended else 0.0, oldest)

    @property
    def finals_share(self) -> float:
        """Of the last seconds, the share with a final under way, though nobody wants it any more: 0 to 1."""
        now = self._clock()
        running = [(self._since, now)] if self._running else []
        spans = (min(end - began, WINDOW_SECONDS - (now - end)) for began, end in [*self._spans, *running])
        return sum(seconds for seconds in spans if seconds > 0) / WINDOW_SECONDS

    @property
    def busy(self) -> float:
        """Seconds that a second of audio takes to be cut, the wait for a thread included."""
        now = self._clock()
        recent = [share for at, share in self._cut if now - at < WINDOW_SECONDS]
        return median(recent) if recent else 0.0

    @property
    def allows_partials(self) -> bool:
        """There is more time than the finals need."""
        return self.lag <= self._at_least(PARTIALS_UNTIL) and self.busy <= PARTIALS_UNTIL_BUSY

    @property
    def allows_ahead(self) -> bool:
        """There is time for finals that may be none."""
        has_room = self.finals_share <= AHEAD_UNTIL or self.lag <= AHEAD_WITHIN
        return self.allows_partials and has_room

    @contextmanager
    def session(self) -> Iterator[None]:
        """One more session, within the context.

        Nobody waits for what is over: without a final under way, how long the last ones took tells nothing,
        and without another session no cutting is late.

        Raises:
            OverloadedError: It does not fit: the finals alone do not.
        """
        is_late = self._running and self.lag > self._at_least(self._admit_until)
        is_busy = self._sessions and self.busy > self._admit_until_busy
        if is_late or is_busy:
            raise OverloadedError(
                "Too many people are being listened to. Please try again soon.", reason="finals_late"
            )
        self._sessions += 1
        try:
            yield
        finally:
            self._sessions -= 1

    def _at_least(self, seconds: float) -> float:
        # Of those alone the median: the fastest may have been a word.
        return max(seconds, SLOW * median(self._alone)) if self._alone else seconds


class Pacing:
    """When one stream's next partial is due. One is in flight at most, and each is followed by a pause.

    Attributes:
        is_ahead: Its client sends faster than anybody speaks, so that nobody waits for a partial.
    """

    def __init__(self, load: Load, clock: Callable[[], float], metrics: Metrics) -> None:
        self._load = load
        self._clock = clock
        self._outcomes = metrics.live_partials
        self._began: float | None = None
        self._due = 0.0
        self._failures = 0
        self.is_ahead = False

    @property
    def allows_partials(self) -> bool:
        """The machine has time for what is not strictly needed."""
        return self._load.allows_partials and not self.is_ahead

    @property
    def allows_ahead(self) -> bool:
        """The same of the final of what may go on."""
        return self._load.allows_ahead and not self.is_ahead

    def is_due(self, position: int, options: PartialOptions) -> bool:
        """Whether there is audio enough, up to ``position`` in samples, and time; else it is put off."""
        if self._began is not None or position < self._due:
            return False
        if not self.allows_partials:
            self._outcomes.labels("dropped").inc()
            self.put_off(position, options)
            return False
        return True

    def put_off(self, position: int, options: PartialOptions) -> None:
        """Has the next one wait for a step of audio after ``position`` (samples)."""
        self._due = position + options.step * SAMPLE_RATE

    def begin(self) -> None:
        """A partial is in flight from now on."""
        self._began = self._clock()

    def cancel(self) -> None:
        """The partial in flight comes too late; when the next one is due does not change."""
        self._outcomes.labels("dropped").inc()
        self._began = None

    def end(self, position: int, options: PartialOptions, *, in_time: bool) -> None:
        """The partial in flight is done.

        Args:
            position: Where its audio ended, in samples.
            in_time: It was decoded, and not too late to be shown. Where none is, they come ever less often.
        """
        self._outcomes.labels("decoded" if in_time else "dropped").inc()
        took = 0.0 if self._began is None else self._clock() - self._began
        self._began = None
        self._failures = 0 if in_time else self._failures + 1
        step = min(options.step * BACK_OFF**self._failures, max(options.step, MAX_STEP_SECONDS))
        self._due = position + max(step, options.breath * took) * SAMPLE_RATE
