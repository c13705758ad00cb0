"""Positions and chunks of one audio stream: 16 kHz mono float32, counted in samples from its start."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Samples per second everywhere after the decoder: what the engines and Silero VAD were trained on."""

MAX_CHUNK_SAMPLES = 30 * SAMPLE_RATE
"""The most samples of a chunk: Whisper's window of 30 s."""

Samples: TypeAlias = NDArray[np.float32]
"""Shape (n,), nominally within -1.0 to 1.0."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One contiguous span of the stream for one engine call.

    Attributes:
        start: Position of ``samples[0]`` in the stream.
        samples: At most `MAX_CHUNK_SAMPLES`, loudness already normalised.
        ends_utterance: The chunk ends in a pause or with the stream; any other may end within a word.
    """

    start: int
    samples: Samples
    ends_utterance: bool

    @property
    def end(self) -> int:
        """Position after the last sample."""
        return self.start + len(self.samples)
