"""A recording: bytes in, transcript events out, while it is read.

    source ─► cut (a thread: decode, loudness, VAD, cutter) ─► rows ─► engine ─► assembler ─► events
                ▲                                                        │
                └── how far it got, where Whisper's windows are cut ◄────┘

`open_transcription` owns everything between the arrows. Each is bounded: a slow reader of events slows the
assembler, the assembler holds back the rows, the rows hold back the decoding of the source.
"""

import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from typing import Self, TypeAlias

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from gateway.aio import Changed, open_task_group
from gateway.audio.chunking import ChunkingOptions, Cutter, decode_as, make_cutter
from gateway.audio.source import ByteSource
from gateway.audio.types import SAMPLE_RATE, Chunk
from gateway.engine.api import Priority
from gateway.errors import GatewayError
from gateway.flow.interims import Interims
from gateway.flow.options import Recognition, Resources
from gateway.flow.pacing import Load, Pacing
from gateway.flow.speakers import Attribution, ByChannel, ByVoice, Placed
from gateway.flow.stream import SURE, Row, RowStream
from gateway.metrics import Metrics, counting
from gateway.tracing import current
from gateway.transcript import Assembler, TextDelta, TranscriptEvent

logger = logging.getLogger(__name__)

ROWS_AHEAD = 8
"""Chunks of one recording that may wait or be decoded at the same time."""

EVENTS_AHEAD = 64
"""Events a transcription may be ahead of its reader."""

LIVE_SECONDS = 0.5
"""A source of which less than this is unread is live: a step of raw samples, and the time to work on it."""

_Streams: TypeAlias = defaultdict[int | None, RowStream]
"""The rows of each channel, where channels are apart: each may be in a language of its own."""


class Transcription:
    """The events of one recording, in order; the error that ended it is raised after the last one."""

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
                    await job.run()
            except GatewayError as error:
                self._error = error
            except Exception:
                logger.exception("a transcription failed")
                self._error = GatewayError("Internal error while transcribing.")


@asynccontextmanager
async def open_transcription(
    source: ByteSource,
    recognition: Recognition,
    resources: Resources,
    *,
    chunking: ChunkingOptions,
    load: Load | None = None,
) -> AsyncIterator[Transcription]:
    """Transcribes a recording while it is read.

    Leaving the context ends everything that was started for it and frees its rows.

    Args:
        source: The bytes; ``read`` is called from a thread, and whatever ends the work calls ``stop``.
        recognition: With ``partials``, `Interim` texts are emitted, too, while the source is live, that is,
            read as fast as it comes. The other events stay the same. Whisper's windows have none.
        load: What the server's live sessions leave of it; needed for partials.

    Raises:
        GatewayError: Out of the iteration, after the events that were known before.
    """
    events_to_send, events = anyio.create_memory_object_stream[TranscriptEvent](EVENTS_AHEAD)
    transcription = Transcription(events)
    job = _Job(source, recognition, resources, chunking, load, events_to_send)
    with resources.metrics.open_streams.track_inprogress():
        async with events, open_task_group() as tasks:
            tasks.start_soon(transcription.run, job, events_to_send)
            yield transcription
            tasks.cancel_scope.cancel()


class _Job:
    """One recording: the state that cutting and assembling share."""

    def __init__(
        self,
        source: ByteSource,
        recognition: Recognition,
        resources: Resources,
        chunking: ChunkingOptions,
        load: Load | None,
        events: MemoryObjectSendStream[TranscriptEvent],
    ) -> None:
        self._source = source
        self._recognition = recognition
        self._metrics = resources.metrics
        self._count = resources.count
        self._load = load
        self._events = events
        # Threads that wait for their clients must not hold up those that have something to decode.
        self._threads = resources.cutters if source.ended else anyio.CapacityLimiter(1)
        self._cutter = make_cutter(resources.vad, chunking)
        self._steps = _steps(source, chunking, self._cutter, resources.metrics)
        self._assembler = Assembler()
        self._attribution: Attribution | None = None
        if chunking.channels is not None:
            self._attribution = ByChannel(recognition.channel_names)
        elif recognition.speakers is not None:
            self._attribution = ByVoice(recognition.speakers, resources.cutters)
        self._interims: Interims | None = None
        self._samples = 0
        """So many are decoded."""
        self._began = anyio.current_time()
        self._has_begun_to_tell = False

    async def run(self) -> None:
        rows_to_send, rows = anyio.create_memory_object_stream[Row | GatewayError](ROWS_AHEAD)
        decoding = self._recognition.decoding
        # Among several given languages each chunk has its own.
        is_open = decoding.language is None and not decoding.languages
        decides = is_open and self._recognition.detects_language
        async with open_task_group() as tasks:
            key, changed = object(), Changed()
            streams = defaultdict[int | None, RowStream](
                lambda: RowStream(tasks, changed, key=key, decides_language=decides)
            )
            if self._recognition.partials is not None and self._load is not None:
                pacing = Pacing(self._load, anyio.current_time, self._metrics)
                self._interims = Interims(
                    streams[None], self._recognition, pacing, tasks, self._assembler, self._events
                )
            try:
                tasks.start_soon(self._cut, rows_to_send, streams)
                await self._assemble(rows)
            finally:
                # A thread that waits for the source cannot be cancelled: this ends its wait.
                self._source.stop()
            languages = {stream.decided or stream.language for stream in streams.values()} - {None}
            if decides and len(languages) == 1 and (language := languages.pop()) is not None:
                self._assembler.decide_language(language)
            for event in [*self._assembler.flush(), self._assembler.finish(self._samples / SAMPLE_RATE)]:
                await self._emit(event)
            if self._samples:
                took = anyio.current_time() - self._began
                self._metrics.real_time_factor.observe(took * SAMPLE_RATE / self._samples)
            tasks.cancel_scope.cancel()

    async def _cut(self, rows: MemoryObjectSendStream[Row | GatewayError], streams: _Streams) -> None:
        """Source to rows. The rows' buffer bounds how far the cutting runs ahead of the assembling.

        An error of the source takes its turn after the rows before it: what was said until then is kept.
        """
        # Not the step that rows are part of: they go on when all is cut.
        span = current().child("decode and cut")
        async with rows:
            try:
                await self._start_rows(rows, streams)
            except GatewayError as error:
                span.fail(error.reason)
                await rows.send(error)
            finally:
                span.note(seconds=self._samples / SAMPLE_RATE)
                span.end()
                with anyio.CancelScope(shield=True):
                    # Closes the container, in a thread, which may still be needed to do it.
                    await anyio.to_thread.run_sync(self._steps.close, limiter=self._threads)

    async def _start_rows(self, rows: MemoryObjectSendStream[Row | GatewayError], streams: _Streams) -> None:
        """One hop to a thread for each decoded block."""
        row: Row | None = None
        latest = dict[int | None, Row]()
        while (step := await anyio.to_thread.run_sync(_next, self._steps, limiter=self._threads)) is not None:
            samples, chunks = step
            self._samples += samples
            self._count(samples / SAMPLE_RATE)
            await self._consider_interim(has_cut=bool(chunks))
            while chunks:
                for chunk in chunks:
                    stream = streams[chunk.channel]
                    if chunk.is_preview:
                        await rows.send(stream.preview(chunk, self._recognition))
                    else:
                        previous = latest.get(chunk.channel)
                        row = latest[chunk.channel] = await self._start_row(chunk, previous, rows, stream)
                chunks = []
                if row is not None and self._cutter.waiting:
                    consumed = (await row.hypothesis()).consumed
                    chunks = await anyio.to_thread.run_sync(
                        self._cutter.advance, consumed, limiter=self._threads
                    )

    async def _start_row(
        self,
        chunk: Chunk,
        previous: Row | None,
        rows: MemoryObjectSendStream[Row | GatewayError],
        stream: RowStream,
    ) -> Row:
        if self._interims is not None:
            self._interims.cut()
        # Where partials are shown, the finals of live sources must not wait behind those of others.
        priority = Priority.LIVE_FINAL if self._is_live else Priority.FILE
        # Which language a chunk is decoded in must not depend on what happened to be ready: until one chunk
        # is sure, the next waits for it.
        if stream.is_undecided and previous is not None:
            await previous.hypothesis()
        # What a window leaves unfinished is decoded together with what follows, if anything does.
        whole = chunk.ends_utterance or not self._cutter.waiting
        row = stream.final(chunk, self._recognition, priority=priority, whole=whole)
        await rows.send(row)
        return row

    async def _assemble(self, rows: MemoryObjectReceiveStream[Row | GatewayError]) -> None:
        """Rows to events, in the order of the recording."""
        async with rows:
            async for row in rows:
                if isinstance(row, GatewayError):
                    raise row
                if row.chunk.is_preview:
                    await self._begin(row)
                    continue
                has_text = await self._add(await self._attributed(row))
                if self._interims is not None:
                    await self._interims.assembled(has_text=has_text)
            if self._attribution is not None:
                await self._add(await self._attribution.finish())

    async def _attributed(self, row: Row) -> Placed:
        """The row's hypothesis, unless its speakers, or what comes before it, are known later."""
        if self._attribution is None:
            return [(await row.hypothesis(), row.chunk.timeline)]
        await self._attribution.hear(row.chunk)
        return await self._attribution.take(await row.hypothesis(), row.chunk)

    async def _add(self, hypotheses: Placed) -> bool:
        """Emits what they cause; returns whether that is any text."""
        has_text = False
        for hypothesis, timeline in hypotheses:
            for event in self._assembler.add(hypothesis, timeline):
                has_text |= isinstance(event, TextDelta)
                await self._emit(event)
        return has_text

    async def _emit(self, event: TranscriptEvent) -> None:
        if isinstance(event, TextDelta) and not self._has_begun_to_tell:
            self._has_begun_to_tell = True
            took = anyio.current_time() - self._began
            self._metrics.first_delta_seconds.labels("recording").observe(took)
        await self._events.send(event)

    async def _begin(self, row: Row) -> None:
        """The first words, if they come; what keeps a preview from coming is no error."""
        with suppress(GatewayError):
            hypothesis = await row.hypothesis()
            if hypothesis.language_probability >= SURE:
                for event in self._assembler.begin(hypothesis):
                    await self._emit(event)

    @property
    def _is_live(self) -> bool:
        """The source is read up to its newest half second, going by the bytes a second took so far."""
        seconds = self._samples / SAMPLE_RATE
        return self._interims is not None and (
            self._source.unread * seconds <= LIVE_SECONDS * self._source.tell()
        )

    async def _consider_interim(self, *, has_cut: bool) -> None:
        if self._interims is None or has_cut or self._source.ended:
            return
        if self._is_live and self._interims.is_due(self._samples):
            chunk = await anyio.to_thread.run_sync(self._cutter.peek, limiter=self._threads)
            if chunk is not None:
                self._interims.decode(chunk)


def _steps(
    source: ByteSource, chunking: ChunkingOptions, cutter: Cutter, metrics: Metrics
) -> Generator[tuple[int, list[Chunk]], None, None]:
    """For each decoded block its length in samples, and the chunks that it completed."""
    decoding, cutting = (metrics.cut_seconds.labels("recording", stage) for stage in ("decode", "cut"))
    with closing(decode_as(source, chunking)) as blocks:
        # By the thread's processor time: decoding also waits for the client.
        while (block := counting(decoding, lambda: next(blocks, None))) is not None:
            yield len(block), counting(cutting, partial(cutter.feed, block))
    yield 0, counting(cutting, cutter.flush)


def _next(steps: Iterator[tuple[int, list[Chunk]]]) -> tuple[int, list[Chunk]] | None:
    return next(steps, None)
