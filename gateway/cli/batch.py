"""Many recordings through one batcher: the server's main flow without a server."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import anyio
import anyio.to_thread

from gateway.aio import open_task_group
from gateway.cli.inputs import open_recording
from gateway.cli.outputs import Output, Stdout
from gateway.cli.rendering import Rendering, printable
from gateway.cli.screen import Row, Screen
from gateway.engine.api import EngineSpec
from gateway.errors import EngineFailedError, GatewayError
from gateway.flow.options import Recognition, Resources
from gateway.flow.recording import Transcription, open_transcription
from gateway.metrics import Metrics
from gateway.runtime import load_resources, make_batcher
from gateway.server.options import chunking_options
from gateway.server.service import recognition
from gateway.settings import Settings
from gateway.transcript import SegmentDone, Transcript, TranscriptDone, TranscriptEvent

ENDLESS = 7 * 24 * 3600.0
"""Seconds. The server's limit on a recording is for strangers; without one of the operator's it is a week."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one command does.

    Attributes:
        live: Where to print what becomes known; None prints whole transcripts to ``output``.
    """

    names: Sequence[str]
    rendering: Rendering
    output: Output
    live: Stdout | None


class Batch:
    """The files of one command."""

    def __init__(self, plan: Plan, settings: Settings, screen: Screen) -> None:
        self._plan = plan
        self._settings = settings
        self._screen = screen
        self._failures = 0

    async def run(self, spec: EngineSpec) -> int:
        """Transcribes all; returns how many failed.

        Raises:
            UnsupportedValueError: The model cannot do what was asked for.
            LoadFailedError: The model cannot be loaded.
            UnavailableError: The workers do not start.
            StdoutError: Standard output takes no more.
        """
        metrics = Metrics()
        batcher = make_batcher(spec, self._settings, metrics)
        async with open_task_group() as tasks:
            tasks.start_soon(batcher.run)
            with self._screen.loading(spec.name):
                resources = await anyio.to_thread.run_sync(load_resources, metrics)
                await batcher.wait_ready()
            rendering = self._plan.rendering
            wanted = recognition(rendering.request, batcher, task=rendering.task, logprobs=False)
            waiting = iter(enumerate(self._plan.names))
            # As many as fill a batch where each waits for its own chunks: more would only take memory.
            places = min(len(self._plan.names), self._settings.max_streams, spec.max_batch)
            async with open_task_group() as files:
                for _ in range(places):
                    files.start_soon(self._take_files, waiting, resources, wanted)
            tasks.cancel_scope.cancel()
        return self._failures

    async def _take_files(
        self,
        waiting: Iterator[tuple[int, str]],
        resources: Resources,
        wanted: Recognition,
    ) -> None:
        for index, name in waiting:
            reason = None
            try:
                with self._screen.file(name) as row:
                    transcript = await self._transcribe(name, row, resources, wanted)
                await self._put(index, name, transcript)
            except GatewayError as error:
                reason = error.message
            except OSError as error:
                reason = error.strerror or str(error)
            if reason is not None:
                self._failures += 1
                self._screen.complain(f"gateway: {printable(name)}: {reason}")
                await self._plan.output.skip(index)

    async def _transcribe(self, name: str, row: Row, resources: Resources, wanted: Recognition) -> Transcript:
        max_seconds = ENDLESS
        if "max_audio_seconds" in self._settings.model_fields_set:
            max_seconds = self._settings.max_audio_seconds
        chunking = chunking_options(
            self._plan.rendering.request, max_seconds=max_seconds, default=self._settings.default_chunking
        )
        with await anyio.to_thread.run_sync(open_recording, name) as recording:
            row.announce(recording.announced)
            async with open_transcription(
                recording.source, wanted, resources, chunking=chunking
            ) as transcription:
                return await self._follow(name, row, transcription)

    async def _follow(self, name: str, row: Row, transcription: Transcription) -> Transcript:
        printed = ""
        try:
            async for event in transcription:
                printed = await self._print(name, event) or printed
                match event:
                    case SegmentDone(segment=segment):
                        row.reach(segment.end)
                    case TranscriptDone(transcript):
                        row.reach(transcript.duration)
                        return transcript
        except GatewayError:
            if printed and not printed.endswith("\n") and self._plan.live is not None:
                await self._plan.live.print("\n")
            raise
        raise EngineFailedError("The transcription ended without a result.")

    async def _print(self, name: str, event: TranscriptEvent) -> str:
        if self._plan.live is None:
            return ""
        text = self._plan.rendering.event(name, event)
        if text:
            await self._plan.live.print(text)
        return text

    async def _put(self, index: int, name: str, transcript: Transcript) -> None:
        if self._plan.live is None:
            await self._plan.output.put(index, self._plan.rendering.result(name, transcript))
