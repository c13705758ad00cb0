"""Positions and pieces of one audio stream: 16 kHz mono float32, counted in samples from its start."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Samples per second everywhere behind the decoder: what both engines and Silero VAD were trained on."""

MAX_CHUNK_SAMPLES = 30 * SAMPLE_RATE
"""Whisper's window."""

Samples: TypeAlias = NDArray[np.float32]
"""Shape (n,), nominally within -1.0 to 1.0."""


@dataclass(frozen=True, slots=True)
class Onset:
    """Speech began at ``sample`` (padding not included)."""

    sample: int


@dataclass(frozen=True, slots=True)
class Offset:
    """Speech ended at ``sample`` (the first sample of the silence)."""

    sample: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """One contiguous span of the stream for one engine call.

    Attributes:
        index: 0, 1, 2 … in stream order.
        utterance: Number of the utterance it belongs to; a long one spans several chunks.
        start: Position of ``samples[0]`` in the stream.
        samples: At most `MAX_CHUNK_SAMPLES`, loudness already normalised.
        ends_utterance: The chunk ends in a pause, not at a forced cut.
    """

    index: int
    utterance: int
    start: int
    samples: Samples
    ends_utterance: bool

    @property
    def end(self) -> int:
        """Position behind the last sample."""
        return self.start + len(self.samples)
