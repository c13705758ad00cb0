"""The audio half of the main flow: decode, even out the loudness, find the speech, cut."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np

from gateway.audio.chunker import Chunker
from gateway.audio.decode import decode
from gateway.audio.loudness import RunningGain
from gateway.audio.raw import decode_pcm16
from gateway.audio.silero import SileroModel
from gateway.audio.source import ByteSource
from gateway.audio.types import SAMPLE_RATE, Chunk, Samples
from gateway.audio.vad import VadOptions


@dataclass(frozen=True, slots=True)
class ChunkingOptions:
    """How a recording is cut.

    Attributes:
        vad: When speech begins and ends.
        max_seconds: Longest recording, as decoded.
        pcm_rate: The source has no container: 16-bit mono samples at this rate.
    """

    vad: VadOptions = field(default_factory=VadOptions)
    max_seconds: float = 4 * 3600.0
    pcm_rate: int | None = None


@dataclass(frozen=True, slots=True)
class ChunkBatch:
    """What one decoded block gave.

    Attributes:
        chunks: Often none.
        decoded_seconds: Length of the stream so far.
        open: The chunk that is being gathered, so far; None where there is none, or nobody asked.
    """

    chunks: tuple[Chunk, ...]
    decoded_seconds: float
    open: Chunk | None = None


class ChunkPipeline:
    """Samples of one stream in, its chunks out; equal chunks however the stream is sliced."""

    def __init__(self, model: SileroModel, options: VadOptions) -> None:
        self._gain = RunningGain()
        self._silero = model.stream()
        self._chunker = Chunker(options)

    def feed(self, samples: Samples) -> list[Chunk]:
        """Takes the next samples, shape (n,)."""
        return self._chunker.feed(samples, self._silero.feed(self._gain.feed(samples)))

    def peek(self) -> Chunk | None:
        """As `Chunker.peek`."""
        return self._chunker.peek()

    def flush(self) -> list[Chunk]:
        """Ends the stream."""
        ready = self._silero.feed(self._gain.flush())
        last = np.concatenate((ready, self._silero.flush()))
        return self._chunker.feed(np.zeros(0, dtype=np.float32), last) + self._chunker.flush()


def decode_as(source: ByteSource, options: ChunkingOptions) -> Generator[Samples, None, None]:
    """The source's samples, as `decode` gives them; ``options`` tell what it is."""
    if options.pcm_rate is not None:
        return decode_pcm16(source, rate=options.pcm_rate, max_seconds=options.max_seconds)
    return decode(source, max_seconds=options.max_seconds)


def chunk_stream(
    source: ByteSource,
    model: SileroModel,
    options: ChunkingOptions,
    peeks: Callable[[float], bool] = lambda _: False,
) -> Generator[ChunkBatch, None, None]:
    """Decodes and cuts a recording, one decoded block (a quarter of a second to 5 s) for each step.

    Args:
        source: As `decode` takes it. Closing the generator lets go of it.
        peeks: Whether the open chunk is wanted, when so many seconds are decoded. It is not copied otherwise,
            nor where the step cut a chunk.

    Raises:
        InvalidAudioError: The recording cannot be decoded, is cut off, too short or too long.
    """
    pipeline = ChunkPipeline(model, options.vad)
    decoded = 0
    with closing(decode_as(source, options)) as blocks:
        for block in blocks:
            decoded += len(block)
            chunks, seconds = tuple(pipeline.feed(block)), decoded / SAMPLE_RATE
            yield ChunkBatch(chunks, seconds, None if chunks or not peeks(seconds) else pipeline.peek())
    yield ChunkBatch(tuple(pipeline.flush()), decoded / SAMPLE_RATE)
