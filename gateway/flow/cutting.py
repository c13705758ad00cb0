"""A recording's chunks for the main flow: the audio room, stepped in a thread."""

from collections.abc import AsyncGenerator, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

import anyio
import anyio.to_thread

from gateway.audio.chunking import ChunkingOptions, decode_as, make_cutter
from gateway.audio.silero import SileroModel
from gateway.audio.source import ByteReader
from gateway.audio.types import SAMPLE_RATE, Chunk
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


@dataclass(frozen=True, slots=True)
class _Step:
    """What one decoded block gave, or one answer of the engine; ``open`` is the chunk that is gathered."""

    chunks: list[Chunk]
    seconds: float
    open: Chunk | None = None


class Cutter:
    """Cuts one recording, as the options say.

    Args:
        arrival: Of a source that may be live; without it no chunk is heard before it is cut.

    Attributes:
        consumed: While it is `waiting`, say here how far the engine got before asking for the next chunk.
        seconds: Length of the recording so far, as decoded.
    """

    def __init__(
        self,
        source: ByteReader,
        options: ChunkingOptions,
        vad: SileroModel,
        arrival: Arrival | None = None,
    ) -> None:
        self._source = source
        self._arrival = arrival
        self._options = options
        self._cutter = make_cutter(vad, options)
        self.consumed: float | None = None
        self.seconds = 0.0

    @property
    def waiting(self) -> bool:
        """The next chunk depends on how far the engine got in the last one."""
        return self._cutter.waiting

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
        steps = self._steps(listener)
        try:
            while step := await anyio.to_thread.run_sync(next, steps, None, limiter=limiter):
                metrics.audio_seconds.inc(step.seconds - self.seconds)
                self.seconds = step.seconds
                for chunk in step.chunks:
                    yield chunk
                if step.open is not None and listener is not None:
                    listener.hear(step.open)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(steps.close, limiter=limiter)

    def _steps(self, listener: Listener | None) -> Generator[_Step, None, None]:
        decoded = 0
        with closing(decode_as(self._source, self._options)) as blocks:
            for block in blocks:
                decoded += len(block)
                seconds = decoded / SAMPLE_RATE
                chunks = self._cutter.feed(block)
                is_due = not chunks and listener is not None and self._is_due(listener, seconds)
                yield _Step(chunks, seconds, self._cutter.peek() if is_due else None)
                yield from self._answers(seconds)
        yield _Step(self._cutter.flush(), decoded / SAMPLE_RATE)
        yield from self._answers(decoded / SAMPLE_RATE)

    def _answers(self, seconds: float) -> Generator[_Step, None, None]:
        while self._cutter.waiting:
            yield _Step(self._cutter.advance(self.consumed), seconds)

    def _is_due(self, listener: Listener, seconds: float) -> bool:
        return (
            self._arrival is not None
            and not self._arrival.ended
            and listener.is_due(seconds)
            and self._is_live(seconds)
        )

    def _is_live(self, seconds: float) -> bool:
        return (
            self._arrival is not None and self._arrival.unread * seconds <= LIVE_SECONDS * self._source.tell()
        )
