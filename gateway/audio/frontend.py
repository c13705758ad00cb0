"""What all cutters hear with: Silero's probability of speech for each frame, at either level."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gateway.audio.declip import declip
from gateway.audio.loudness import HOP, RunningGain
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

    Cut tops are put back, then Silero listens twice, and for each frame the larger probability counts: to the
    samples as recorded, since a gain that falls where speech begins deafens it for the first word; and with
    the running gain, since it does not hear quiet speech otherwise. Its graph has no dimension for a batch,
    so these are two calls, of some 1.2 ms for a second of audio each.

    Tops and gain go by hops of 100 ms, so a frame is known up to a hop after its last sample was fed.
    """

    def __init__(self, model: SileroModel) -> None:
        self._gain = RunningGain()
        self._loud = model.stream()
        self._raw = model.stream()
        self._pending: Samples = np.zeros(0, dtype=np.float32)

    def feed(self, samples: Samples) -> NDArray[np.float32]:
        """Takes shape (n,), as recorded; gives the probability of speech for each frame that is complete."""
        joined = np.concatenate((self._pending, samples))
        whole = len(joined) // HOP * HOP
        self._pending = joined[whole:].copy()
        restored = declip(joined[:whole].reshape(-1, HOP)).reshape(-1)
        return np.maximum(self._raw.feed(restored), self._loud.feed(self._gain.feed(restored)))

    def flush(self) -> NDArray[np.float32]:
        """Ends the stream: gives the frames of the last, incomplete hop, the last one padded with silence."""
        rest, self._pending = self._pending, self._pending[:0]
        restored = declip(np.pad(rest, (0, -len(rest) % HOP)).reshape(-1, HOP)).reshape(-1)[: len(rest)]
        loud = np.concatenate((self._gain.feed(restored), self._gain.flush()))
        heard = [
            np.concatenate((each.feed(end), each.flush()))
            for each, end in ((self._raw, restored), (self._loud, loud))
        ]
        return np.maximum(*heard)
