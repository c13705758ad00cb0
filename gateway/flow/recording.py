"""THE MAIN FLOW: bytes in, transcript events out.

    source ─► cut (a thread: decode, loudness, VAD, chunker) ─► rows ─► recognizer ─► assemble ─► events
               ▲                                                            │
               └── how far it got, where Whisper's walk does the cutting ◄──┘

`open_transcription` owns everything between the arrows. Each is bounded: a slow reader of events slows the
assembler, the assembler holds back the rows, the rows hold back the decoding of the source.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Self

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from gateway.aio import open_task_group
from gateway.audio.chunking import ChunkingOptions
from gateway.audio.silero import SileroModel
from gateway.audio.source import ByteReader
from gateway.audio.types import SAMPLE_RATE, Chunk
from gateway.engine.api import DecodeOptions, DecodeRequest, Priority, Recognizer
from gateway.errors import EngineFailedError, GatewayError
from gateway.flow.cutting import Arrival, Cutter
from gateway.flow.interim import Interims
from gateway.metrics import Metrics
from gateway.transcript import Assembler, Hypothesis, TextDelta, TranscriptEvent

logger = logging.getLogger(__name__)

SURE = 0.5
"""A detected language of at least this probability holds for the rest of the request."""

ROWS_AHEAD = 8
"""Chunks of one recording that may wait or be decoded at the same time."""

EVENTS_AHEAD = 64
"""Events a transcription may be ahead of its reader."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What all transcriptions of one application share.

    Attributes:
        vad: The Silero model; each transcription has its own state.
        cutters: Threads that may decode and cut recordings at the same time.
    """

    vad: SileroModel
    cutters: anyio.CapacityLimiter
    metrics: Metrics


class Transcription:
    """The events of one recording, in order; the error that ended it is raised behind the last one."""

    def __init__(self, events: MemoryObjectReceiveStream[TranscriptEvent]) -> None:
        self._events = events
        self._scope = anyio.CancelScope()
        self._error: GatewayError | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> TranscriptEvent:
        try:
            return await self._events.receive()
        except anyio.EndOfStream:
            if self._error is not None:
                raise self._error from None
            raise StopAsyncIteration from None

    def abort(self, error: GatewayError) -> None:
        """Stops the work; the reader gets the events that are known, then ``error``."""
        self._error = error
        self._scope.cancel()

    async def run(self, job: "_Job", events: MemoryObjectSendStream[TranscriptEvent]) -> None:
        """Does the work. Whatever goes wrong in it ends the iteration, not the task."""
        async with events:
            try:
                with self._scope:
                    await job.run(events)
            except GatewayError as error:
                self._error = error
            except Exception:
                logger.exception("a transcription failed")
                self._error = GatewayError("Internal error while transcribing.")


@asynccontextmanager
async def open_transcription(
    source: ByteReader,
    recognizer: Recognizer,
    resources: Resources,
    *,
    chunking: ChunkingOptions,
    decoding: DecodeOptions,
    release: Callable[[], None] | None = None,
    arrival: Arrival | None = None,
) -> AsyncIterator[Transcription]:
    """Transcribes a recording while it is read.

    Leaving the context ends everything that was started for it and frees its rows.

    Args:
        source: The container's bytes; ``read`` is called from a thread.
        chunking: With ``windows="block"``, Whisper's walk, each chunk waits for the one before it.
        release: For a source that is still arriving, so that its ``read`` may wait. It gets a thread of its
            own. Whatever ends the work then calls this, and it must make a waiting ``read`` raise a
            `GatewayError`.
        arrival: Tell `Interim` texts, too, while the source is live, that is, read as fast as it comes. The
            other events stay the same. Whisper's walk tells none.

    Raises:
        GatewayError: Out of the iteration, behind the events that were known before.
    """
    events_to_send, events = anyio.create_memory_object_stream[TranscriptEvent](EVENTS_AHEAD)
    transcription = Transcription(events)
    job = _Job(source, recognizer, resources, chunking, decoding, release, arrival)
    with resources.metrics.open_streams.track_inprogress():
        async with events, open_task_group() as tasks:
            tasks.start_soon(transcription.run, job, events_to_send)
            yield transcription
            tasks.cancel_scope.cancel()


class _Row:
    """A chunk on its way through the engine."""

    def __init__(self, chunk: Chunk | None) -> None:
        self.chunk = chunk
        self._done = anyio.Event()
        self._result: Hypothesis | GatewayError | None = None

    def resolve(self, result: Hypothesis | GatewayError) -> None:
        self._result = result
        self._done.set()

    async def hypothesis(self) -> Hypothesis:
        """Waits for the engine.

        Raises:
            GatewayError: What became of the row instead.
        """
        await self._done.wait()
        if isinstance(self._result, Hypothesis):
            return self._result
        raise self._result or EngineFailedError("The chunk has no result.")


class _Job:
    """One recording: the state that cutting and assembling share."""

    def __init__(
        self,
        source: ByteReader,
        recognizer: Recognizer,
        resources: Resources,
        chunking: ChunkingOptions,
        decoding: DecodeOptions,
        release: Callable[[], None] | None,
        arrival: Arrival | None,
    ) -> None:
        self._release = release
        # Threads that wait for their clients must not hold up those that have something to decode.
        self._cutters = resources.cutters if release is None else anyio.CapacityLimiter(1)
        self._cutter = Cutter(source, chunking, resources.vad, arrival)
        self._recognizer = recognizer
        self._resources = resources
        self._decoding = decoding
        self._assembler = Assembler()
        # The queue remembers its streams for a while: it must not keep the recording's state with it.
        self._stream = object()

    async def run(self, events: MemoryObjectSendStream[TranscriptEvent]) -> None:
        rows_to_send, rows = anyio.create_memory_object_stream[_Row](ROWS_AHEAD)
        async with open_task_group() as tasks:
            interims = Interims(self._recognizer, self._assembler, self._decoding, tasks, events)
            tasks.start_soon(self._release_source)
            tasks.start_soon(self._cut, rows_to_send, tasks, interims)
            await self._assemble(rows, events, interims)
            tasks.cancel_scope.cancel()

    async def _release_source(self) -> None:
        """A thread that waits for the source cannot be cancelled: this ends its wait, whatever the reason."""
        try:
            await anyio.sleep_forever()
        finally:
            if self._release is not None:
                self._release()

    async def _cut(self, rows: MemoryObjectSendStream[_Row], tasks: TaskGroup, interims: Interims) -> None:
        """Source to rows. The stream's buffer bounds how far the cutting runs ahead of the assembling.

        An error of the source takes its turn behind the rows before it: what was said until then is kept.
        """
        async with rows:
            try:
                cut = self._cutter.chunks(self._cutters, self._resources.metrics, interims)
                async with aclosing(cut) as chunks:
                    await self._start_rows(chunks, rows, tasks, interims)
            except GatewayError as error:
                broken = _Row(None)
                broken.resolve(error)
                await rows.send(broken)

    async def _start_rows(
        self,
        chunks: AsyncIterator[Chunk],
        rows: MemoryObjectSendStream[_Row],
        tasks: TaskGroup,
        interims: Interims,
    ) -> None:
        # Among several given languages each chunk has its own.
        detecting = (
            self._decoding.language is None
            and not self._decoding.languages
            and self._recognizer.capabilities.detects_language
        )
        previous: _Row | None = None
        async for chunk in chunks:
            interims.cut()
            # Where partials are told, the finals of live sources must not wait behind those of others.
            priority = Priority.LIVE_FINAL if self._cutter.is_live else Priority.FILE
            if detecting and previous is not None:
                # Which language a chunk is decoded in must not depend on what happened to be ready:
                # until one chunk is sure, the next waits for it.
                detecting = not self._decide_language(await previous.hypothesis())
            previous = _Row(chunk)
            await rows.send(previous)
            tasks.start_soon(self._decode, previous, self._request(chunk), priority)
            if self._cutter.waiting:
                self._cutter.consumed = (await previous.hypothesis()).consumed

    def _request(self, chunk: Chunk) -> DecodeRequest:
        # Whisper's walk decodes what a window leaves unfinished together with what follows, if anything does.
        whole = not self._cutter.waiting or chunk.ends_utterance
        return DecodeRequest(chunk.samples, self._decoding, whole=whole)

    def _decide_language(self, hypothesis: Hypothesis) -> bool:
        language = _sure_language(hypothesis)
        if language is None:
            return False
        self._decoding = replace(self._decoding, language=language)
        self._assembler.decide_language(language)
        return True

    async def _decode(self, row: _Row, request: DecodeRequest, priority: Priority) -> None:
        try:
            row.resolve(await self._recognizer.transcribe(request, stream=self._stream, priority=priority))
        except GatewayError as error:
            row.resolve(error)

    async def _assemble(
        self,
        rows: MemoryObjectReceiveStream[_Row],
        events: MemoryObjectSendStream[TranscriptEvent],
        interims: Interims,
    ) -> None:
        """Rows to events, in the order of the recording."""
        async with rows:
            async for row in rows:
                hypothesis = await row.hypothesis()
                if row.chunk is None:
                    continue
                start, end = row.chunk.start / SAMPLE_RATE, row.chunk.end / SAMPLE_RATE
                known = self._assembler.add(hypothesis, start=start, end=end)
                for event in known:
                    await events.send(event)
                has_text = any(isinstance(event, TextDelta) for event in known)
                await interims.told(has_text=has_text, language=_sure_language(hypothesis))
        await events.send(self._assembler.finish(self._cutter.seconds))


def _sure_language(hypothesis: Hypothesis) -> str | None:
    return hypothesis.language if hypothesis.language_probability >= SURE else None
