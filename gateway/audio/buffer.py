"""The last stretch of a stream, addressed by positions in the stream."""

import numpy as np

from gateway.audio.types import SAMPLE_RATE, Samples


class SampleBuffer:
    """Holds the samples from `start` to `end` of a stream; the caller drops what it no longer needs."""

    def __init__(self) -> None:
        self._data: Samples = np.empty(SAMPLE_RATE, dtype=np.float32)
        self._first = 0
        self.start = 0
        self.end = 0

    def append(self, samples: Samples) -> None:
        """Adds shape (n,) behind `end`."""
        held = self.end - self.start
        if self._first + held + len(samples) > len(self._data):
            # Twice what is needed: copying stays cheap however small the pieces, memory bounded by use.
            grown = np.empty(max(2 * (held + len(samples)), SAMPLE_RATE), dtype=np.float32)
            grown[:held] = self._data[self._first : self._first + held]
            self._data, self._first = grown, 0
        self._data[self._first + held : self._first + held + len(samples)] = samples
        self.end += len(samples)

    def read(self, start: int, end: int) -> Samples:
        """A copy of the samples at these positions, which must be held.

        Raises:
            IndexError: A position was dropped or is yet to come.
        """
        if not self.start <= start <= end <= self.end:
            raise IndexError(f"{start}:{end} is not within {self.start}:{self.end}")
        offset = self._first - self.start
        return self._data[start + offset : end + offset].copy()

    def drop(self, before: int) -> None:
        """Forgets the samples before this position."""
        before = min(before, self.end)
        if before > self.start:
            self._first += before - self.start
            self.start = before
