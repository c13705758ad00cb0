"""A live session: a microphone's bytes in, events out while people speak.

    inbox ─► capture (a thread: decode, denoise, VAD, cut) ─► turns ─► rows ─► engine ─► turns ─► events

Finals are decoded whatever happens, partials when there is time (`gateway.flow.pacing`). Each arrow is
bounded: a client that reads no events stops the capture; what it sends waits in the inbox, a full
one is an error.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Self

import anyio
import anyio.to_thread

from gateway.aio import Changed, open_task_group
from gateway.audio.segmenter import Segmenter
from gateway.audio.turns import SegmenterEvent
from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import Priority
from gateway.errors import GatewayError, InvalidRequestError, OverloadedError
from gateway.flow.capture import Capture
from gateway.flow.inbox import Finish, Inbox, Share, Task, Waiting
from gateway.flow.lateness import Lateness
from gateway.flow.options import LiveOptions, Resources
from gateway.flow.orders import Cancel, Final, Hear, Output, Partial
from gateway.flow.pacing import LEAST_SECONDS, Load, Pacing
from gateway.flow.speakers import ChunkSpeakers
from gateway.flow.stream import Row, RowStream
from gateway.flow.turn_spans import TurnSpans
from gateway.flow.turns import Turns
from gateway.metrics import counting
from gateway.tracing import within
from gateway.transcript.commands import Append, Clear, Command, Commit, Configure
from gateway.transcript.events import LiveEvent, Refused, SessionCreated, SessionUpdated

LEAST_QUIET_SECONDS = 0.3
"""The same where nobody has spoken for a while, as in most of most sessions: fewer pieces cost less."""

QUIET_AFTER = 10 * SAMPLE_RATE
"""Between two turns there is less, and the next one's first words are waited for."""

MOST_SECONDS = 1.0

AHEAD_SECONDS = 2.0
"""Who has sent so much more than anybody can have said since is no microphone: it is served as a file is."""

STALL_SECONDS = 10.0
"""A microphone may make up for so long a silence of its network."""

LEAST_COMMIT = SAMPLE_RATE // 10

EVENTS_AHEAD = 256
"""Events not taken yet, before the capture waits."""

REFUSALS_AHEAD = 1_000
"""Events not taken yet by a client that goes on making mistakes, each of which is answered."""

CHUNKS_AHEAD = 8
"""Chunks the engine has not answered yet, before the capture waits."""


def piece_seconds(turns: Turns, segmenter: Segmenter) -> float:
    """Of how much audio the next piece is at least."""
    is_quiet = not turns.is_open and segmenter.uncommitted > QUIET_AFTER
    return LEAST_QUIET_SECONDS if is_quiet else LEAST_SECONDS


class LiveSession:
    """One connection's audio and commands, and, iterated over while `run` runs, its events.

    Args:
        settings: What the session begins with, as the protocol keeps it.
        resolve: Turns the client's object in a `Configure` into options, and into the settings that
            `SessionUpdated` shall hold; raises what the client is told. None stands for ``settings``.
        new_item_id: Makes an item's id.
        waiting: Counts what came faster than it is worked on, of all sessions.
        share: The same of this client's alone.
        clock: Seconds.
    """

    def __init__(
        self,
        resources: Resources,
        load: Load,
        *,
        settings: object,
        resolve: Callable[[Mapping[str, Any] | None], Awaitable[tuple[LiveOptions, object]]],
        new_item_id: Callable[[], str],
        waiting: Waiting,
        share: Share | None = None,
        clock: Callable[[], float] = anyio.current_time,
    ) -> None:
        self._resources = resources
        self._load = load
        self._resolve = resolve
        self._clock = clock
        self._changed = Changed()
        self._events: deque[LiveEvent] = deque([SessionCreated(settings)])
        self._inbox = Inbox(waiting, self._changed, share)
        self._options = LiveOptions()
        self._pacing = Pacing(load, clock, resources.metrics)
        self._lateness = Lateness(clock, resources.metrics)
        self._spans = TurnSpans()
        self._counter = resources.metrics.cut_seconds.labels("live", "cut")
        self._turns = Turns(new_item_id, self._pacing, self._options)
        self._capture = Capture(resources.vad, self._options)
        self._rows: RowStream | None = None
        self._running: dict[Final | Partial, Row] = {}
        self._unheard: deque[Hear] = deque()
        self._counted_seconds = 0.0
        self._said: float | None = None
        """When what was sent so far will have been said, had it been said since it was sent."""
        self._is_busy = False
        self._is_finishing = False
        self._is_being_read = False
        """Whoever takes the events has dealt with the last one."""

    def put(self, command: Command) -> None:
        """Takes audio or a command, which has its turn after the audio before it.

        Raises:
            OverloadedError: Too much waits.
        """
        if self._is_finishing:
            return
        self._inbox.put(command)
        if isinstance(command, Append):
            now = self._clock()
            since = now if self._said is None else max(self._said, now - STALL_SECONDS)
            seconds = len(command.audio) / self._bytes_per_second
            self._said = since + seconds
            self._lateness.received(seconds, is_ahead=self._is_ahead)

    def refuse(self, refusal: Refused) -> None:
        """Emits the refusal.

        Raises:
            OverloadedError: The client does not read.
        """
        if len(self._events) > REFUSALS_AHEAD:
            raise OverloadedError("The events are not being read.", reason="not_read")
        self._emit(refusal)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LiveEvent:
        self._is_being_read = True
        self._changed.notify()
        await self._changed.until(lambda: self._events)
        self._is_being_read = False
        return self._events.popleft()

    async def run(self) -> None:
        """Works until cancelled.

        Raises:
            GatewayError: The options to begin with cannot be had.
        """
        try:
            async with open_task_group() as tasks:
                self._rows = RowStream(tasks, self._changed, load=self._load)
                options, _ = await self._resolve(None)
                self._options = self._turns.options = options
                self._capture = Capture(self._resources.vad, options)
                tasks.start_soon(self._take_outcomes)
                tasks.start_soon(self._hear)
                while True:
                    await self._changed.until(self._has_room)
                    seconds = piece_seconds(self._turns, self._capture.segmenter)
                    least, most = (round(each * self._bytes_per_second) for each in (seconds, MOST_SECONDS))
                    task = await self._inbox.take(least, most)
                    self._is_busy = True
                    await self._do(task)
                    self._is_busy = False
                    self._changed.notify()
        finally:
            self._inbox.close()
            self._spans.close()

    async def finish(self, *, is_interruption: bool = False) -> None:
        """Ends the utterance that goes on, and returns when every event is emitted and dealt with.

        What comes from here on is not taken, or there would be no end.

        Args:
            is_interruption: The session may go on elsewhere, see `ItemCompleted`.
        """
        if not self._is_finishing:
            self._is_finishing = True
            self._inbox.put(Finish(is_interruption))
        await self._changed.until(
            lambda: (
                not (self._is_busy or self._inbox or self._events)
                and self._turns.is_idle
                and self._is_being_read
            )
        )

    @property
    def _bytes_per_second(self) -> int:
        return self._options.rate * self._options.sample_bytes

    def _has_room(self) -> bool:
        return len(self._events) <= EVENTS_AHEAD and self._turns.undecided <= CHUNKS_AHEAD

    async def _do(self, task: Task) -> None:
        match task:
            case bytes():
                await self._cut(task)
            case Commit(event_id):
                await self._act(await anyio.to_thread.run_sync(self._capture.settle))
                await self._commit(event_id)
            case Finish(is_interruption):
                await self._act(await anyio.to_thread.run_sync(self._capture.settle))
                if self._turns.is_open:
                    if is_interruption:
                        self._turns.interrupt()
                    await self._act(await anyio.to_thread.run_sync(self._capture.segmenter.commit))
            case Clear():
                await self._act(await anyio.to_thread.run_sync(self._capture.settle))
                self._capture.segmenter.clear()
                self._obey(self._turns.cleared(self._capture.segmenter.position))
            case Configure():
                await self._configure(task)

    async def _cut(self, data: bytes) -> None:
        began, is_ahead = self._clock(), self._is_ahead
        # One that is ahead waits for a thread as recordings do, and says nothing about how late people are.
        limiter = self._resources.cutters if is_ahead else None
        feed = partial(counting, self._counter, partial(self._capture.feed, data))
        events = await anyio.to_thread.run_sync(feed, limiter=limiter)
        if not is_ahead:
            self._load.cut(len(data) / self._bytes_per_second, self._clock() - began)
        self._pacing.is_ahead = is_ahead
        await self._act(events)
        self._count_audio()
        if self._capture.segmenter.speaking and self._turns.wants_partial(self._capture.segmenter.position):
            chunk = await anyio.to_thread.run_sync(self._capture.segmenter.peek)
            if chunk is not None:
                self._obey(self._turns.decode_open(chunk))

    async def _configure(self, command: Configure) -> None:
        try:
            options, settings = await self._resolve(command.session)
        except GatewayError as error:
            self._emit(Refused(error, command.event_id))
            return
        self._options = self._turns.options = options
        self._emit(SessionUpdated(settings, command.flat))
        await self._act(await anyio.to_thread.run_sync(self._capture.configure, options))

    async def _commit(self, event_id: str | None) -> None:
        if self._capture.segmenter.uncommitted >= LEAST_COMMIT:
            await self._act(await anyio.to_thread.run_sync(self._capture.segmenter.commit))
            return
        milliseconds = self._capture.segmenter.uncommitted * 1000 / SAMPLE_RATE
        refusal = InvalidRequestError(
            "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but "
            f"buffer only has {milliseconds:.2f}ms of audio.",
            code="input_audio_buffer_commit_empty",
        )
        self._emit(Refused(refusal, event_id))

    async def _act(self, events: Iterable[SegmenterEvent]) -> None:
        """Has the turns take what the segmenter said, and answers what it asks."""
        self._segmented(events)
        while self._capture.segmenter.waiting:
            with anyio.move_on_after(self._turns.longest_silence):
                await self._changed.until(lambda: self._turns.knows_latest_words)
            silence = self._turns.silence_samples()
            self._segmented(await anyio.to_thread.run_sync(self._capture.segmenter.advance, silence))
        self._obey(self._turns.advance())

    def _segmented(self, events: Iterable[SegmenterEvent]) -> None:
        for event in events:
            outputs = self._turns.segmented(
                event, self._capture.segmenter.position, must_judge=self._capture.segmenter.waiting
            )
            self._obey(outputs)

    async def _take_outcomes(self) -> None:
        """Has the turns take the engine's answers."""
        while True:
            await self._changed.until(lambda: any(row.is_done for row in self._running.values()))
            for order in [order for order, row in self._running.items() if row.is_done]:
                self._obey(self._turns.settled(order, self._running.pop(order).outcome))

    async def _hear(self) -> None:
        """Has the turns take who speaks in their chunks: one after the other, for who is who builds on it."""
        speakers: ChunkSpeakers | None = None
        while True:
            await self._changed.until(lambda: self._unheard)
            order = self._unheard.popleft()
            speakers = speakers or ChunkSpeakers(order.speakers)
            self._obey(self._turns.heard(order, await speakers.turns(order.chunk)))

    def _obey(self, outputs: Iterable[Output]) -> None:
        assert self._rows is not None  # noqa: S101 - nothing is put out before `run` has made it
        for output in outputs:
            match output:
                case Final(recognition=recognition, chunk=chunk):
                    priority = Priority.AHEAD if self._is_ahead else Priority.LIVE_FINAL
                    with within(self._spans.of(output.utterance.item_id)):
                        self._running[output] = self._rows.final(chunk, recognition, priority=priority)
                case Partial(recognition=recognition, chunk=chunk, most_tokens=most):
                    with within(self._spans.of(output.utterance.item_id)):
                        self._running[output] = self._rows.partial(chunk, recognition, most_tokens=most)
                case Hear():
                    self._unheard.append(output)
                    self._changed.notify()
                case Cancel(order):
                    if order in self._running:
                        self._running[order].cancel()
                case event:
                    self._emit(event)

    def _emit(self, event: LiveEvent) -> None:
        self._lateness.emitted(event)
        self._spans.emitted(event)
        self._events.append(event)
        self._changed.notify()

    @property
    def _is_ahead(self) -> bool:
        """The client sends faster than anybody speaks."""
        return self._said is not None and self._said > self._clock() + AHEAD_SECONDS

    def _count_audio(self) -> None:
        seconds = self._capture.segmenter.position / SAMPLE_RATE
        self._lateness.cut(seconds)
        self._resources.count(seconds - self._counted_seconds)
        self._counted_seconds = seconds
