"""Whether the machine keeps up with its live sessions: how long finals and hearing take."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

from gateway.errors import OverloadedError

WINDOW_SECONDS = 10.0
"""Finals that ended so long ago say nothing about now."""

RECENT = 64
"""The most finals looked at, and the most pieces of audio."""

PARTIALS_UNTIL = 1.0
ADMIT_UNTIL = 2.5
"""Seconds a final may take, unless the engine is slower than this with nothing to wait for. Captions count as
live up to about five seconds behind speech, so newcomers are refused well before."""

PARTIALS_UNTIL_BUSY = 0.5
ADMIT_UNTIL_BUSY = 0.8
"""Seconds that a second of audio may take to be heard: at 1 the server itself, not its engine, is behind."""

SLOW = 3.0
"""Where a final alone takes long, so many times as long is too long."""


class LiveLoad:
    """What all live sessions of one server share.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._admit_until = ADMIT_UNTIL
        self._admit_until_busy = ADMIT_UNTIL_BUSY
        self._running: dict[object, float] = {}
        self._ended: deque[tuple[float, float]] = deque(maxlen=RECENT)
        self._alone: deque[float] = deque(maxlen=RECENT)
        self._heard: deque[tuple[float, float]] = deque(maxlen=RECENT)

    def heard(self, seconds: float, took: float) -> None:
        """So many seconds of audio were decoded and cut in so many seconds."""
        if seconds > 0:
            self._heard.append((self._clock(), took / seconds))

    @contextmanager
    def final(self) -> Iterator[None]:
        """A final waits for the engine, or is decoded, within the context. One that fails tells no time."""
        key, began, is_alone = object(), self._clock(), not self._running
        self._running[key] = began
        try:
            yield
        finally:
            del self._running[key]
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
    def busy(self) -> float:
        """Seconds that a second of audio takes to be heard, the threads' queue included."""
        now = self._clock()
        recent = [share for at, share in self._heard if now - at < WINDOW_SECONDS]
        return median(recent) if recent else 0.0

    @property
    def allows_partials(self) -> bool:
        """There is more time than the finals need."""
        return self.lag <= self._at_least(PARTIALS_UNTIL) and self.busy <= PARTIALS_UNTIL_BUSY

    def admit(self) -> None:
        """Returns where one more session fits.

        Raises:
            OverloadedError: The finals alone do not.
        """
        if self.lag > self._at_least(self._admit_until) or self.busy > self._admit_until_busy:
            raise OverloadedError("Too many people are being listened to. Please try again soon.")

    def _at_least(self, seconds: float) -> float:
        return max(seconds, SLOW * min(self._alone, default=0.0))
