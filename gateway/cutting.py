"""A recording's chunks for the main flow: the audio room, stepped in a thread."""

from collections.abc import AsyncGenerator, Iterator

import anyio
import anyio.to_thread

from gateway.audio.blocks import BlockOptions, BlockWalk, block_stream
from gateway.audio.chunking import ChunkBatch, ChunkingOptions, chunk_stream
from gateway.audio.silero import SileroModel
from gateway.audio.source import ByteSource
from gateway.audio.types import Chunk
from gateway.metrics import Metrics


class Cutter:
    """Cuts one recording: at its pauses, or by Whisper's walk where the options are `BlockOptions`.

    Attributes:
        walk: Whisper's walk; tell it how far the engine got in a chunk before asking for the next one.
        seconds: Length of the recording so far, as decoded.
    """

    def __init__(self, source: ByteSource, options: ChunkingOptions, vad: SileroModel) -> None:
        self._source = source
        self._options = options
        self._vad = vad
        self.walk = BlockWalk(options.vad) if isinstance(options, BlockOptions) else None
        self.seconds = 0.0

    async def chunks(self, limiter: anyio.CapacityLimiter, metrics: Metrics) -> AsyncGenerator[Chunk, None]:
        """The recording's chunks; one hop to a thread per decoded block.

        Raises:
            InvalidAudioError: The recording cannot be decoded, is cut off, too short or too long.
        """
        blocks = self._open()
        try:
            while batch := await anyio.to_thread.run_sync(_next, blocks, limiter=limiter):
                metrics.audio_seconds.inc(batch.decoded_seconds - self.seconds)
                self.seconds = batch.decoded_seconds
                for chunk in batch.chunks:
                    yield chunk
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_close, blocks, limiter=limiter)

    def _open(self) -> Iterator[ChunkBatch]:
        if self.walk is not None:
            return block_stream(self._source, self._vad, self._options, self.walk)
        return chunk_stream(self._source, self._vad, self._options)


def _next(blocks: Iterator[ChunkBatch]) -> ChunkBatch | None:
    return next(blocks, None)


def _close(blocks: Iterator[ChunkBatch]) -> None:
    """Closes the container, in the thread that may still be needed to do it."""
    close = getattr(blocks, "close", None)
    if close is not None:
        close()
