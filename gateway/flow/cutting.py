"""A recording's chunks for the main flow: the audio room, stepped in a thread."""

from collections.abc import AsyncGenerator, Iterator
from typing import Protocol

import anyio
import anyio.to_thread

from gateway.audio.blocks import BlockOptions, BlockWalk, block_stream
from gateway.audio.chunking import ChunkBatch, ChunkingOptions, chunk_stream
from gateway.audio.silero import SileroModel
from gateway.audio.source import ByteSource
from gateway.audio.types import Chunk
from gateway.metrics import Metrics

LIVE_SECONDS = 0.5
"""A source of which less than this is unread is live: a step of raw samples, and the time to work on it."""


class Arrival(Protocol):
    """How a source comes that is still arriving. Asked from any thread."""

    @property
    def unread(self) -> int:
        """Bytes that came and were not read yet."""

    @property
    def ended(self) -> bool:
        """Nothing more will come."""


class Listener(Protocol):
    """Who wants to hear chunks before they are cut."""

    def is_due(self, seconds: float) -> bool:
        """Whether to hear the open chunk, when so many seconds are decoded. Asked in the cutting thread."""

    def hear(self, chunk: Chunk) -> None:
        """Gets the open chunk, so far."""


class Cutter:
    """Cuts one recording: at its pauses, or by Whisper's walk where the options are `BlockOptions`.

    Args:
        arrival: Of a source that may be live; without it no chunk is heard before it is cut.

    Attributes:
        walk: Whisper's walk; tell it how far the engine got in a chunk before asking for the next one.
        seconds: Length of the recording so far, as decoded.
    """

    def __init__(
        self,
        source: ByteSource,
        options: ChunkingOptions,
        vad: SileroModel,
        arrival: Arrival | None = None,
    ) -> None:
        self._source = source
        self._arrival = arrival
        self._options = options
        self._vad = vad
        self.walk = BlockWalk(options.vad) if isinstance(options, BlockOptions) else None
        self.seconds = 0.0

    @property
    def is_live(self) -> bool:
        """The source is read up to its newest half second, going by the bytes a second took so far."""
        return self._is_live(self.seconds)

    async def chunks(
        self, limiter: anyio.CapacityLimiter, metrics: Metrics, listener: Listener | None = None
    ) -> AsyncGenerator[Chunk, None]:
        """The recording's chunks; one hop to a thread per decoded block.

        Args:
            listener: Hears a chunk that is open while the source is live. Whisper's walk has none.

        Raises:
            InvalidAudioError: The recording cannot be decoded, is cut off, too short or too long.
        """
        blocks = self._open(listener)
        try:
            while batch := await anyio.to_thread.run_sync(_next, blocks, limiter=limiter):
                metrics.audio_seconds.inc(batch.decoded_seconds - self.seconds)
                self.seconds = batch.decoded_seconds
                for chunk in batch.chunks:
                    yield chunk
                if batch.open is not None and listener is not None:
                    listener.hear(batch.open)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_close, blocks, limiter=limiter)

    def _open(self, listener: Listener | None) -> Iterator[ChunkBatch]:
        if self.walk is not None:
            return block_stream(self._source, self._vad, self._options, self.walk)
        if self._arrival is None or listener is None:
            return chunk_stream(self._source, self._vad, self._options)
        arrival = self._arrival
        return chunk_stream(
            self._source,
            self._vad,
            self._options,
            lambda seconds: not arrival.ended and listener.is_due(seconds) and self._is_live(seconds),
        )

    def _is_live(self, seconds: float) -> bool:
        return (
            self._arrival is not None and self._arrival.unread * seconds <= LIVE_SECONDS * self._source.tell()
        )


def _next(blocks: Iterator[ChunkBatch]) -> ChunkBatch | None:
    return next(blocks, None)


def _close(blocks: Iterator[ChunkBatch]) -> None:
    """Closes the container, in the thread that may still be needed to do it."""
    close = getattr(blocks, "close", None)
    if close is not None:
        close()
