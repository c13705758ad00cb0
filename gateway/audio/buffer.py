"""The last stretch of a stream, addressed by positions in it: its samples, and where to cut them."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from gateway.audio.silero import FRAME
from gateway.audio.types import SAMPLE_RATE, Samples

_DIP_FRAMES = 5
"""160 ms, about a syllable: the dip sought is between words, not within a stop consonant."""

_TOLERANCE = 0.05
"""Between dips this close in probability, energy decides."""


class SampleBuffer:
    """Holds the samples from `start` to `end` of a stream; the caller drops what it no longer needs."""

    def __init__(self) -> None:
        self._data: Samples = np.empty(SAMPLE_RATE, dtype=np.float32)
        self._first = 0
        self.start = 0
        self.end = 0

    def append(self, samples: Samples) -> None:
        """Adds shape (n,) at `end`."""
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


class DipFinder:
    """Finds the deepest dip in speech that has no pause: the place where a cut costs least.

    Args:
        frames: So many of the stream's last probabilities are kept; a dip can be sought no farther back.
    """

    def __init__(self, frames: int) -> None:
        self._history: deque[float] = deque(maxlen=frames)
        self._frames = 0

    def append(self, probability: float) -> None:
        """Takes the next frame's probability of speech."""
        self._history.append(probability)
        self._frames += 1

    def find(self, buffer: SampleBuffer, start: int, end: int) -> int:
        """The middle of the frame between two positions that is least like speech."""
        first, last = -(-start // FRAME), (end - FRAME // 2) // FRAME
        oldest = self._frames - len(self._history)
        probabilities = _smooth(np.array(self._history)[first - oldest : last + 1 - oldest])
        frames = buffer.read(first * FRAME, (last + 1) * FRAME).reshape(-1, FRAME).astype(np.float64)
        energies = _smooth(np.mean(frames**2, axis=1))
        dips = np.flatnonzero(probabilities <= probabilities.min() + _TOLERANCE)
        frame = first + int(dips[np.argmin(energies[dips])])
        return frame * FRAME + FRAME // 2


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over `_DIP_FRAMES` around each value."""
    half = _DIP_FRAMES // 2
    return np.convolve(np.pad(values, half, mode="edge"), np.full(_DIP_FRAMES, 1 / _DIP_FRAMES), mode="valid")
