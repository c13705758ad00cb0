"""THE LIVE FLOW: a microphone's bytes in, events out while people speak.

    inbox ─► hear (a thread: decode, denoise, VAD, cut) ─► finals, partials ─► recognizer ─► text ─► events

Finals are decoded whatever happens, partials when there is time (`LiveLoad`). Each arrow is bounded: a client
that reads no events stops the hearing, what it sends meanwhile waits in the inbox; a full inbox is an error.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Self, TypeVarTuple

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from gateway.aio import open_task_group
from gateway.audio.turns import (
    ChunkReady,
    IdleTimeout,
    SegmenterEvent,
    TurnMode,
    UtteranceEnded,
    UtterancePaused,
    UtteranceStarted,
)
from gateway.audio.types import SAMPLE_RATE, Chunk
from gateway.errors import GatewayError, InvalidRequestError
from gateway.flow.finals import Final, Finals
from gateway.flow.hearing import Hearing
from gateway.flow.inbox import Clear, Command, Commit, Configure, Inbox
from gateway.flow.load import LiveLoad
from gateway.flow.options import LiveOptions, Recognition
from gateway.flow.partials import Partial, Partials
from gateway.flow.patience import MAX_SECONDS, patience
from gateway.flow.recording import Resources
from gateway.flow.utterance import Utterance
from gateway.transcript import Hypothesis
from gateway.transcript.events import (
    BufferCleared,
    BufferCommitted,
    LiveEvent,
    Refused,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TimeoutTriggered,
)

LEAST_SECONDS = 0.1
"""Audio is worked on in pieces of at least so much: the detector's gain has the same step."""

LEAST_QUIET_SECONDS = 0.3
"""The same while nobody speaks, which is most of most sessions' time: fewer pieces cost less."""

MOST_SECONDS = 1.0

AHEAD_SECONDS = 2.0
"""Audio so far ahead of the time since its first piece is no microphone's."""

LEAST_COMMIT = SAMPLE_RATE // 10

EVENTS_AHEAD = 256
"""Events not taken yet, before the hearing waits."""

CHUNKS_AHEAD = 8
"""Chunks the engine has not answered yet, before the hearing waits."""

_Arguments = TypeVarTuple("_Arguments")


class LiveSession:
    """One connection's audio. Iterate over it for its events while `run` runs.

    Args:
        resolve: Turns what a `Configure` holds into options and what `Configured` shall hold, or raises what
            the client is told. Called with None for the options to begin with.
        new_item: Makes an item's id.
        max_waiting: Bytes of audio that may wait.
        clock: Seconds.
    """

    def __init__(
        self,
        resources: Resources,
        load: LiveLoad,
        *,
        resolve: Callable[[object], Awaitable[tuple[LiveOptions, object]]],
        new_item: Callable[[], str],
        max_waiting: int,
        clock: Callable[[], float] = anyio.current_time,
    ) -> None:
        self._resources = resources
        self._load = load
        self._options = LiveOptions()
        self._resolve = resolve
        self._new_item = new_item
        self._inbox = Inbox(max_waiting, resources.metrics.live_waiting_bytes.inc)
        self._hearing = Hearing(resources.vad, self._options)
        self._utterances: deque[Utterance] = deque()
        self._current: Utterance | None = None
        self._events: deque[LiveEvent] = deque()
        self._changed = anyio.Event()
        self._tasks: TaskGroup | None = None
        # The queue remembers its streams for a while: it must not keep the session, with its client's key.
        stream = object()
        self._finals = Finals(load, resources.metrics, stream)
        self._partials = Partials(load, resources.metrics, stream, clock)
        self._pause: Final | None = None
        """Of the chunk that is not complete yet."""
        self._last: Final | None = None
        """Of the current utterance's latest words."""
        self._seconds = 0.0
        self._clock = clock
        self._began: float | None = None
        """When its first audio was heard."""
        self._busy = False
        self._finishing = False

    def append(self, data: bytes) -> None:
        """Takes audio. Raises OverloadedError where too much waits."""
        if not self._finishing:
            self._inbox.append(data)

    def put(self, command: Command) -> None:
        """Takes a command, which has its turn behind the audio before it."""
        if not self._finishing:
            self._inbox.put(command)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LiveEvent:
        while not self._events:
            await self._changed.wait()
        event = self._events.popleft()
        self._note_change()
        return event

    async def run(self) -> None:
        """Works until cancelled.

        Raises:
            GatewayError: The options to begin with cannot be had.
        """
        try:
            async with open_task_group() as tasks:
                self._tasks = tasks
                self._options, _ = await self._resolve(None)
                self._hearing = Hearing(self._resources.vad, self._options)
                while True:
                    await self._room()
                    taken = await self._inbox.take(
                        least=round(self._least_seconds * self._bytes_per_second),
                        most=round(MOST_SECONDS * self._bytes_per_second),
                    )
                    self._busy = True
                    await self._work(taken)
                    self._busy = False
                    self._note_change()
        finally:
            self._inbox.close()

    async def finish(self) -> None:
        """Ends the utterance that goes on, and returns when everything is told and taken.

        What comes from here on is not heard, or there would be no end.
        """
        self.put(Commit(None, is_last=True))
        self._finishing = True
        while self._busy or self._inbox or self._utterances or self._events:
            await self._changed.wait()

    @property
    def _least_seconds(self) -> float:
        return LEAST_QUIET_SECONDS if self._current is None else LEAST_SECONDS

    @property
    def _bytes_per_second(self) -> int:
        return self._options.rate * self._options.sample_bytes

    async def _room(self) -> None:
        """Waits until the events and the chunks ahead are few enough."""
        while len(self._events) > EVENTS_AHEAD or self._undecided > CHUNKS_AHEAD:
            await self._changed.wait()

    @property
    def _undecided(self) -> int:
        return sum(utterance.undecided for utterance in self._utterances)

    def _start(
        self, task: Callable[[*_Arguments], Coroutine[Any, Any, None]], *arguments: *_Arguments
    ) -> None:
        if self._tasks is not None:
            self._tasks.start_soon(task, *arguments)

    async def _work(self, taken: bytes | Command) -> None:
        match taken:
            case bytes():
                await self._hear(taken)
            case Commit() as commit:
                await self._act(await anyio.to_thread.run_sync(self._hearing.settle))
                await self._commit(commit)
            case Clear():
                await self._act(await anyio.to_thread.run_sync(self._hearing.settle))
                self._hearing.clear()
                self._drop_current()
                self._tell(BufferCleared())
            case Configure(session, event_id):
                await self._configure(session, event_id)

    async def _hear(self, data: bytes) -> None:
        began = self._clock()
        if self._began is None:
            self._began = began
        events = await anyio.to_thread.run_sync(self._hearing.feed, data)
        self._load.heard(len(data) / self._bytes_per_second, self._clock() - began)
        await self._act(events)
        self._count_audio()
        await self._consider_partial()

    @property
    def _is_ahead(self) -> bool:
        """The client sends faster than anybody speaks."""
        elapsed = 0.0 if self._began is None else self._clock() - self._began
        return self._hearing.position / SAMPLE_RATE > elapsed + AHEAD_SECONDS

    async def _configure(self, session: object, event_id: str | None) -> None:
        try:
            options, settings = await self._resolve(session)
        except GatewayError as error:
            self._tell(Refused(error, event_id))
            return
        self._options = options
        self._tell(SessionUpdated(settings))
        await self._act(await anyio.to_thread.run_sync(self._hearing.configure, options))

    async def _commit(self, commit: Commit) -> None:
        if commit.is_last and self._current is None:
            return
        if not commit.is_last and self._hearing.uncommitted < LEAST_COMMIT:
            milliseconds = self._hearing.uncommitted * 1000 / SAMPLE_RATE
            self._tell(
                Refused(
                    InvalidRequestError(
                        "Error committing input audio buffer: buffer too small. Expected at least 100ms of "
                        f"audio, but buffer only has {milliseconds:.2f}ms of audio.",
                        code="input_audio_buffer_commit_empty",
                    ),
                    commit.event_id,
                )
            )
            return
        await self._act(await anyio.to_thread.run_sync(self._hearing.commit))

    async def _act(self, events: list[SegmenterEvent]) -> None:
        for event in events:
            self._take(event)
        while self._hearing.waiting:
            judged = await anyio.to_thread.run_sync(self._hearing.judge, await self._patience())
            for event in judged:
                self._take(event)
        self._advance()

    def _take(self, event: SegmenterEvent) -> None:
        match event:
            case UtteranceStarted(start, heard):
                self._begin(start, heard=heard)
            case UtterancePaused(chunk):
                self._consider_pause(chunk)
            case ChunkReady(chunk):
                self._finish_chunk(chunk)
            case UtteranceEnded(end):
                self._finish_utterance(end)
            case IdleTimeout(start, end):
                item = self._begin(start, heard=False).item
                self._tell(TimeoutTriggered(item, start / SAMPLE_RATE, end / SAMPLE_RATE))
                self._finish_utterance(end)

    def _begin(self, start: int, *, heard: bool) -> Utterance:
        utterance = Utterance(self._new_item(), start, self._options.recognition)
        self._current = utterance
        self._utterances.append(utterance)
        if heard and self._options.turns.mode is not TurnMode.MANUAL:
            utterance.announced = True
            self._tell(SpeechStarted(utterance.item, start / SAMPLE_RATE))
        if utterance.partials is not None:
            self._partials.put_off(self._hearing.position, utterance.partials)
        return utterance

    def _finish_chunk(self, chunk: Chunk) -> None:
        self._partials.give_up()
        final, self._pause = self._pause, None
        utterance = self._current
        if utterance is None or utterance.recognition is None:
            return
        number = utterance.add(chunk)
        if final is None or not final.serves(chunk):
            if final is not None:
                final.give_up()
            final = self._start_final(chunk, utterance, utterance.recognition)
        self._start(self._settle, number, final)

    def _finish_utterance(self, end: int) -> None:
        utterance, self._current, self._last = self._current, None, None
        if utterance is None:
            return
        utterance.close(end)
        if utterance.announced:
            self._tell(SpeechStopped(utterance.item, end / SAMPLE_RATE))
        self._tell(BufferCommitted(utterance.item))
        self._advance()

    def _drop_current(self) -> None:
        self._partials.give_up()
        self._pause = self._last = None
        if self._current is not None:
            self._finals.give_up(self._current)
            self._utterances.remove(self._current)
            self._current = None
        self._advance()

    def _start_final(self, chunk: Chunk, utterance: Utterance, recognition: Recognition) -> Final:
        self._last = final = self._finals.add(utterance, chunk, counts=not self._is_ahead)
        self._start(self._finals.decode, final, recognition)
        return final

    async def _settle(self, number: int, final: Final) -> None:
        await final.done.wait()
        if final.outcome is not None:
            final.utterance.settle(number, final.outcome)
            self._advance()

    def _consider_pause(self, chunk: Chunk) -> None:
        """Decodes what may be the utterance's last chunk before its silence is over."""
        utterance = self._current
        if self._pause is not None:
            self._pause.give_up()
            self._pause = None
        if utterance is None or utterance.recognition is None:
            return
        if not (self._load.allows_partials or self._hearing.waiting):
            return
        if utterance.partials is None and self._options.turns.mode is TurnMode.MANUAL:
            return
        self._pause = self._start_final(chunk, utterance, utterance.recognition)
        if utterance.partials is not None:
            self._partials.give_up()
            self._partials.put_off(self._hearing.position, utterance.partials)
            self._start(self._tell_pause, utterance.pieces, self._pause)

    async def _tell_pause(self, number: int, pause: Final) -> None:
        """What was heard until a pause is a hypothesis, too."""
        await pause.done.wait()
        if isinstance(pause.outcome, Hypothesis) and self._speaks(pause.utterance):
            self._tell(*pause.utterance.partial(number, pause.outcome, paused=True))

    async def _patience(self) -> int:
        """How long the silence may be: by the words before it, or the longest where they come too late."""
        eagerness = self._options.eagerness
        longest = MAX_SECONDS[eagerness]
        if self._last is not None:
            with anyio.move_on_after(longest):
                await self._last.done.wait()
            if isinstance(self._last.outcome, Hypothesis):
                text = "".join(segment.text for segment in self._last.outcome.segments)
                return patience(text, eagerness)
        return round(longest * SAMPLE_RATE)

    async def _consider_partial(self) -> None:
        utterance = self._current
        if utterance is None or utterance.partials is None or not self._hearing.speaking:
            return
        if not (self._speaks(utterance) and utterance.follows):
            return
        if not self._partials.is_due(self._hearing.position, utterance.partials):
            return
        chunk = await anyio.to_thread.run_sync(self._hearing.peek)
        if chunk is not None and utterance.recognition is not None:
            partial = self._partials.add(utterance, utterance.recognition, utterance.partials, chunk)
            self._start(self._partials.decode, partial, self._finals.language, self._tell_partial)

    def _tell_partial(self, partial: Partial, hypothesis: Hypothesis) -> bool:
        if not self._speaks(partial.utterance):
            return False
        self._tell(*partial.utterance.partial(partial.number, hypothesis, paused=False))
        return True

    def _speaks(self, utterance: Utterance) -> bool:
        """It is its turn: no earlier one has anything to tell."""
        return bool(self._utterances) and self._utterances[0] is utterance

    def _advance(self) -> None:
        """Tells what can be told, one utterance behind the other."""
        while self._utterances:
            head = self._utterances[0]
            self._tell(*head.advance())
            if not head.closed or (head.recognition is not None and head.undecided):
                break
            self._utterances.popleft()
        self._note_change()

    def _tell(self, *events: LiveEvent) -> None:
        self._events.extend(events)
        self._note_change()

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    def _count_audio(self) -> None:
        seconds = self._hearing.position / SAMPLE_RATE
        self._resources.metrics.audio_seconds.inc(seconds - self._seconds)
        self._seconds = seconds
