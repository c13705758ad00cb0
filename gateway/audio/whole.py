"""No cutting: a recording that somebody cut already is one chunk, as it is."""

import numpy as np

from gateway.audio.types import MAX_CHUNK_SAMPLES, Chunk, Samples


class Whole:
    """Gives the recording as one chunk when it ends: neither lifted nor searched for speech."""

    def __init__(self) -> None:
        self._blocks: list[Samples] = []

    @property
    def waiting(self) -> bool:
        """Never: nothing depends on the engine."""
        return False

    def feed(self, samples: Samples) -> list[Chunk]:
        """Takes the next samples, shape (n,)."""
        self._blocks.append(samples)
        return []

    def flush(self) -> list[Chunk]:
        """Gives all of them; none where there are none, several where they are too many for one."""
        samples = np.concatenate(self._blocks) if self._blocks else np.zeros(0, np.float32)
        self._blocks.clear()
        starts = range(0, len(samples), MAX_CHUNK_SAMPLES)
        return [
            Chunk(
                start, part := samples[start : start + MAX_CHUNK_SAMPLES], start + len(part) == len(samples)
            )
            for start in starts
        ]

    def peek(self) -> Chunk | None:
        """None: it is whole when it has ended."""
        return None

    def advance(self, consumed: float | None) -> list[Chunk]:
        """Is never called for.

        Raises:
            RuntimeError: Always.
        """
        del consumed
        raise RuntimeError("not waiting")
