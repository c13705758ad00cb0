"""What all cutters hear with: the loudness evened out, then Silero's probability of speech for each frame."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gateway.audio.loudness import RunningGain
from gateway.audio.silero import SileroModel
from gateway.audio.types import Samples


class Detector(Protocol):
    """What tells a cutter where speech is: a `FrontEnd`; tests bring scripts."""

    def feed(self, samples: Samples) -> NDArray[np.float32]:
        """Takes shape (n,); gives the probability of speech for each frame that is complete."""

    def flush(self) -> NDArray[np.float32]:
        """Ends the stream: gives the frames that are left, the last one padded with silence."""


class FrontEnd:
    """One stream's probabilities of speech. They depend on its samples alone, however it is sliced.

    The gain goes by hops of 100 ms, so a frame is known up to a hop after its last sample was fed.
    """

    def __init__(self, model: SileroModel) -> None:
        self._gain = RunningGain()
        self._silero = model.stream()

    def feed(self, samples: Samples) -> NDArray[np.float32]:
        """Takes shape (n,), as recorded; gives the probability of speech for each frame that is complete."""
        return self._silero.feed(self._gain.feed(samples))

    def flush(self) -> NDArray[np.float32]:
        """Ends the stream: gives the frames of the last, incomplete hop, the last one padded with silence."""
        return np.concatenate((self._silero.feed(self._gain.flush()), self._silero.flush()))
