"""The deepest dip in speech that has no pause: the place where a cut costs least."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from gateway.audio.buffer import SampleBuffer
from gateway.audio.silero import FRAME

_FRAMES = 5
"""160 ms, about a syllable: the dip sought is between words, not within a stop consonant."""

_TOLERANCE = 0.05
"""Dips this close in probability are told apart by energy."""


class DipFinder:
    """Remembers the probabilities of a stream's last frames.

    Args:
        frames: So many of them; a dip can be sought no farther back.
    """

    def __init__(self, frames: int) -> None:
        self._history: deque[float] = deque(maxlen=frames)
        self._frames = 0

    def append(self, probability: float) -> None:
        """The next frame's."""
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
    """The mean over `_FRAMES` around each value."""
    half = _FRAMES // 2
    return np.convolve(np.pad(values, half, mode="edge"), np.full(_FRAMES, 1 / _FRAMES), mode="valid")
