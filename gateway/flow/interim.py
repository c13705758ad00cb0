"""What is heard of a chunk before it is cut: volatile texts, each of a partial decoding.

A partial is a luxury. One is in flight at most, never before the chunks ahead are told, and it is given up
when its chunk is cut; where the engine is slow or busy they thin out, and none of their failures is an error.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream

from gateway.audio.types import SAMPLE_RATE, Chunk
from gateway.engine.api import DecodeOptions, DecodeRequest, Priority, Recognizer
from gateway.errors import GatewayError, SupersededError
from gateway.transcript import Assembler, Interim, TextDelta, TranscriptEvent

STEP_SECONDS = 0.7
"""New audio from one partial to the next, at least: two or three words."""

MAX_STEP_SECONDS = 30.0

STEP_PER_SECOND_TAKEN = 2.0
"""A partial that took a second, waiting included, is followed by the next after two: live, at least half of a
connection's time is free of partials, however busy the engine is."""

BACK_OFF = 2.0
"""A partial that was refused, superseded or failed makes the step so many times as long."""


class Interims:
    """The partials of one recording; all but `is_due` belongs to the event loop.

    Args:
        assembler: Asked how a text joins the ones before it.
        tasks: Where partials run; whoever cancels it ends them.
        events: Where texts go. A text for which there is no room is dropped.
        clock: Seconds.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        assembler: Assembler,
        decoding: DecodeOptions,
        tasks: TaskGroup,
        events: MemoryObjectSendStream[TranscriptEvent],
        *,
        clock: Callable[[], float] = anyio.current_time,
    ) -> None:
        self._recognizer = recognizer
        self._assembler = assembler
        self._options = replace(decoding, beam_size=1, words=False, logprobs=False)
        self._tasks = tasks
        self._events = events
        self._clock = clock
        # The queue remembers its streams for a while: it must not keep the recording's text with it.
        self._stream = object()
        self._running: anyio.CancelScope | None = None
        self._untold = 0
        self._heard = 0.0
        self._step = STEP_SECONDS
        self._shown = ""

    def is_due(self, seconds: float) -> bool:
        """Whether the open chunk should be heard when so much of the recording is there. For any thread."""
        return self._running is None and self._untold == 0 and seconds >= self._heard + self._step

    def hear(self, chunk: Chunk) -> None:
        """Starts a partial of the open chunk, unless there is too little of it; only while one is due."""
        if len(chunk.samples) < STEP_SECONDS * SAMPLE_RATE:
            return
        self._heard = chunk.end / SAMPLE_RATE
        self._running = anyio.CancelScope()
        self._tasks.start_soon(self._decode, chunk, self._running)

    def cut(self) -> None:
        """A chunk was cut: its partial is given up, and none is due until it is `told`."""
        self._untold += 1
        if self._running is not None:
            self._running.cancel()

    async def told(self, *, has_text: bool, language: str | None) -> None:
        """A chunk's text is out.

        Args:
            has_text: If it has none, what was shown of it is taken back.
            language: What it was spoken in, if that is sure enough to hold for the rest.
        """
        # Among several given languages each chunk has its own.
        if language is not None and self._options.language is None and not self._options.languages:
            self._options = replace(self._options, language=language)
        if self._shown and not has_text:
            await self._events.send(Interim(""))
        self._shown = ""
        self._untold -= 1

    async def _decode(self, chunk: Chunk, scope: anyio.CancelScope) -> None:
        started = self._clock()
        # Where it is given up: under load all may be, and it may not have taken long until then.
        least = self._step
        with scope:
            try:
                # A stream of its own: the recording's rows keep the turns they have without partials.
                hypothesis = await self._recognizer.transcribe(
                    DecodeRequest(chunk.samples, self._options),
                    stream=self._stream,
                    priority=Priority.LIVE_PARTIAL,
                )
            except (GatewayError, SupersededError):
                least = BACK_OFF * self._step
            else:
                least = STEP_SECONDS
                # The answer may have been on its way when the chunk was cut.
                if not scope.cancel_called:
                    self._show(self._assembler.preview(hypothesis))
        took = self._clock() - started
        self._step = min(MAX_STEP_SECONDS, max(least, STEP_PER_SECOND_TAKEN * took))
        self._running = None

    def _show(self, preview: TextDelta | None) -> None:
        text = "" if preview is None else preview.text
        if text != self._shown:
            with suppress(anyio.WouldBlock):
                self._events.send_nowait(Interim(text))
                self._shown = text
