"""Positions and chunks of one audio stream: 16 kHz mono float32, counted in samples from its start."""

from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from gateway.transcript.timeline import Stretch, Timeline

SAMPLE_RATE = 16_000
"""Samples per second everywhere after the decoder: what the engines and Silero VAD were trained on."""

MAX_CHUNK_SAMPLES = 30 * SAMPLE_RATE
"""The most samples of a chunk: Whisper's window of 30 s."""

Samples: TypeAlias = NDArray[np.float32]
"""Shape (n,), nominally within -1.0 to 1.0."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A contiguous part of a chunk, as positions in the stream: of its samples, and of the speech in it."""

    start: int
    end: int
    onset: int
    offset: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Samples of the stream for one engine call: one span of it, or several with shortened pauses between.

    Attributes:
        start: Position of ``samples[0]`` in the stream.
        samples: At most `MAX_CHUNK_SAMPLES`, lifted where they were quiet (`loudness.normalise`).
        ends_utterance: The chunk ends in a pause or with the stream; any other may end within a word.
        pieces: Where the samples are from, in order; empty where they are one span.
        is_preview: It is the beginning of the chunk that comes next, for its first words.
        shared: So many samples at its end the next chunk begins with, too.
        channel: Which one it is of, from 0, where channels are cut apart.
        settled: Position before which nothing more comes of any channel, where they are cut apart.
    """

    start: int
    samples: Samples
    ends_utterance: bool
    pieces: tuple[Piece, ...] = ()
    is_preview: bool = False
    shared: int = 0
    channel: int | None = None
    settled: int = 0

    @property
    def own(self) -> int:
        """Samples before those that it shares with the next chunk."""
        return len(self.samples) - self.shared

    @property
    def end(self) -> int:
        """Position after the last sample."""
        return self.pieces[-1].end if self.pieces else self.start + len(self.samples)

    @property
    def breaks(self) -> tuple[int, ...]:
        """Samples before each piece but the first: there was a pause."""
        return tuple(accumulate(piece.end - piece.start for piece in self.pieces[:-1]))

    @property
    def timeline(self) -> Timeline:
        """From seconds of the chunk to those of the stream."""
        if not self.pieces:
            return Timeline([Stretch.plain(self.start / SAMPLE_RATE, self.end / SAMPLE_RATE)])
        return Timeline(
            [
                Stretch(*(at / SAMPLE_RATE for at in (piece.start, piece.end, piece.onset, piece.offset)))
                for piece in self.pieces
            ],
            cut=self._cut,
        )

    @property
    def _cut(self) -> float | None:
        """Seconds before the first speech that the next chunk has, too."""
        if not self.shared:
            return None
        begins = zip((0, *self.breaks), self.pieces, strict=True)
        silence = next((piece.onset - piece.start for begin, piece in begins if begin == self.own), 0)
        return (self.own + silence) / SAMPLE_RATE
