"""What all cutters hear with: Silero's probability of speech for each frame, at either level."""

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

    Silero listens twice, and for each frame the larger probability counts: to the samples as recorded, since
    a gain that falls where speech begins deafens it for the first word; and with the running gain, since it
    does not hear quiet speech otherwise. Its graph has no dimension for a batch, so these are two calls, of
    some 1.2 ms for a second of audio each.

    The gain goes by hops of 100 ms, so a frame is known up to a hop after its last sample was fed.
    """

    def __init__(self, model: SileroModel) -> None:
        self._gain = RunningGain()
        self._loud = model.stream()
        self._raw = model.stream()
        self._waiting: NDArray[np.float32] = np.zeros(0, dtype=np.float32)
        """Probabilities of frames as recorded whose gain is yet to come."""

    def feed(self, samples: Samples) -> NDArray[np.float32]:
        """Takes shape (n,), as recorded; gives the probability of speech for each frame that is complete."""
        return self._larger(self._raw.feed(samples), self._loud.feed(self._gain.feed(samples)))

    def flush(self) -> NDArray[np.float32]:
        """Ends the stream: gives the frames of the last, incomplete hop, the last one padded with silence."""
        rest = np.concatenate((self._loud.feed(self._gain.flush()), self._loud.flush()))
        return self._larger(self._raw.flush(), rest)

    def _larger(self, raw: NDArray[np.float32], loud: NDArray[np.float32]) -> NDArray[np.float32]:
        known = np.concatenate((self._waiting, raw))
        self._waiting = known[len(loud) :]
        return np.maximum(known[: len(loud)], loud)
