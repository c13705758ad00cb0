"""What is shown of a live recording's chunk while it goes on."""

from contextlib import suppress
from dataclasses import replace

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream

from gateway.audio.types import SAMPLE_RATE, Chunk
from gateway.errors import GatewayError
from gateway.flow.options import PartialOptions, Recognition
from gateway.flow.pacing import Pacing
from gateway.flow.stream import Row, RowStream
from gateway.transcript import Assembler, Interim, TextDelta, TranscriptEvent


class Interims:
    """The interim texts of a live recording, each of a partial of the chunk that goes on.

    A partial is a luxury: one is in flight at most, never before the text of the chunks ahead is out, it is
    cancelled when its chunk is cut, and none of its failures is an error.
    """

    def __init__(
        self,
        stream: RowStream,
        recognition: Recognition,
        pacing: Pacing,
        tasks: TaskGroup,
        assembler: Assembler,
        events: MemoryObjectSendStream[TranscriptEvent],
    ) -> None:
        self._stream = stream
        self._recognition = replace(recognition, decoding=replace(recognition.decoding, logprobs=False))
        self._partials = recognition.partials or PartialOptions()
        self._pacing = pacing
        self._tasks = tasks
        self._assembler = assembler
        self._events = events
        self._running: Row | None = None
        self._unassembled = 0
        self._shown = ""
        self._seen = 0
        """Where the last one's chunk ended: nothing is added to it in a pause."""

    def is_due(self, position: int) -> bool:
        """Whether to decode the open chunk when the recording is there up to ``position``, in samples."""
        return not self._unassembled and self._pacing.is_due(position, self._partials)

    def decode(self, chunk: Chunk) -> None:
        """Starts a partial of the open chunk, unless it is too short or as it was; only while one is due."""
        if len(chunk.samples) < self._partials.step * SAMPLE_RATE or chunk.end == self._seen:
            return
        self._seen = chunk.end
        self._running = row = self._stream.partial(chunk, self._recognition)
        self._pacing.begin()
        self._tasks.start_soon(self._show, row)

    def cut(self) -> None:
        """Takes note that a chunk is complete: its partial is too late, and none is due before its text."""
        self._unassembled += 1
        row, self._running = self._running, None
        if row is not None:
            row.cancel()
            self._pacing.cancel()

    async def assembled(self, *, has_text: bool) -> None:
        """Takes note that a complete chunk's text is out; where it has none, what was shown is taken back."""
        if self._shown and not has_text:
            await self._events.send(Interim(""))
        self._shown = ""
        self._unassembled -= 1

    async def _show(self, row: Row) -> None:
        preview: TextDelta | None = None
        in_time = False
        with suppress(GatewayError):
            preview = self._assembler.preview(await row.hypothesis())
            in_time = True
        # The answer may have been on its way when the chunk was cut.
        if row is not self._running:
            return
        self._running = None
        self._pacing.end(row.chunk.end, self._partials, in_time=in_time)
        text = "" if preview is None else preview.text
        if in_time and text != self._shown:
            # A text for which there is no room is dropped.
            with suppress(anyio.WouldBlock):
                self._events.send_nowait(Interim(text))
                self._shown = text
