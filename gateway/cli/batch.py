"""``gateway transcribe`` at work: from its wishes to its exit status, many recordings through one batcher."""

import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from gateway.aio import open_task_group
from gateway.audio.speakers import SpeakerOptions
from gateway.cli.common import ending_at_once, fail, printable
from gateway.cli.inputs import STDIN, open_recording, unreadable
from gateway.cli.outputs import SUFFIXES, Folder, Rendering, Stdout, plan_files
from gateway.cli.screen import Row, Screen, ScreenHandler
from gateway.engine.api import EngineSpec, Task
from gateway.errors import (
    EngineFailedError,
    GatewayError,
    InvalidRequestError,
    OperatorError,
    OutputError,
    StdoutError,
    UnavailableError,
)
from gateway.flow.options import Recognition, Resources
from gateway.flow.recording import Transcription, open_transcription
from gateway.flow.speakers import Speakers, enrol_all
from gateway.metrics import Metrics
from gateway.protocol.request import TranscriptionRequest
from gateway.runtime.plans import find_spec
from gateway.runtime.resources import load_resources, load_speakers
from gateway.runtime.workers import make_batcher
from gateway.server.options import chunking_options
from gateway.server.service import recognition
from gateway.settings import Settings
from gateway.transcript import SegmentDone, Transcript, TranscriptDone, TranscriptEvent

ENDLESS = 7 * 24 * 3600.0
"""Seconds. The server's limit on a recording is for strangers; without one of the operator's it is a week."""

SUBTITLES = {"srt", "vtt"}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for on the command line.

    Attributes:
        folder: Where to write a file for each input; None prints.
        speakers: They are told apart.
        known: Names of speakers, and the recordings of their voices.
    """

    names: tuple[str, ...]
    request: TranscriptionRequest
    task: Task
    folder: Path | None
    overwrite: bool
    speakers: bool = False
    known: tuple[tuple[str, Path], ...] = ()


@dataclass
class Batch:
    """The files of one command.

    Attributes:
        known: Names of speakers, and the recordings of their voices.
        live: Where to print what becomes known; None prints whole transcripts to ``output``.
        failures: How many files could not be transcribed.
    """

    names: Sequence[str]
    rendering: Rendering
    output: Stdout | Folder
    live: Stdout | None
    settings: Settings
    screen: Screen
    known: tuple[tuple[str, Path], ...] = ()
    failures: int = 0

    async def run(self, spec: EngineSpec) -> None:
        """Transcribes all.

        Raises:
            UnsupportedValueError: The model cannot do what was asked for.
            LoadFailedError: The model cannot be loaded.
            UnavailableError: The workers do not start.
            StdoutError: Standard output takes no more.
        """
        metrics = Metrics()
        batcher = make_batcher(spec, self.settings, metrics)
        async with open_task_group() as tasks:
            tasks.start_soon(batcher.run)
            with self.screen.loading(spec.name):
                resources = await anyio.to_thread.run_sync(load_resources, metrics)
                await batcher.wait_ready()
            rendering = self.rendering
            wanted = recognition(
                rendering.request,
                batcher,
                task=rendering.task,
                logprobs=False,
                speakers=await self._speakers()
                if rendering.with_speakers and not rendering.request.by_channel
                else None,
            )
            waiting = iter(enumerate(self.names))
            # As many as fill a batch where each waits for its own chunks: more would only take memory.
            places = min(len(self.names), self.settings.max_streams, spec.max_batch)
            async with open_task_group() as files:
                for _ in range(places):
                    files.start_soon(self._take_files, waiting, resources, wanted)
            tasks.cancel_scope.cancel()

    async def _speakers(self) -> Speakers:
        """How they are told apart: files of which nothing is printed before their end as a whole."""
        with self.screen.loading("what tells speakers apart"):
            model = await anyio.to_thread.run_sync(load_speakers, self.settings)
            known = await enrol_all(model, [(name, path.read_bytes()) for name, path in self.known])
        return Speakers(model, SpeakerOptions(known), at_end=self.live is None)

    async def _take_files(
        self, waiting: Iterator[tuple[int, str]], resources: Resources, wanted: Recognition
    ) -> None:
        for index, name in waiting:
            reason = None
            try:
                with self.screen.file(name) as row:
                    transcript = await self._transcribe(name, row, resources, wanted)
                if self.live is None:
                    await self.output.put(index, self.rendering.result(name, transcript))
            except GatewayError as error:
                reason = error.message
            except OSError as error:
                reason = error.strerror or str(error)
            if reason is not None:
                self.failures += 1
                self.screen.complain(f"gateway: {printable(name)}: {reason}")
                await self.output.skip(index)

    async def _transcribe(self, name: str, row: Row, resources: Resources, wanted: Recognition) -> Transcript:
        max_seconds = ENDLESS
        if "max_audio_seconds" in self.settings.model_fields_set:
            max_seconds = self.settings.max_audio_seconds
        chunking = chunking_options(
            self.rendering.request, max_seconds=max_seconds, default=self.settings.default_chunking
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
            if printed and not printed.endswith("\n") and self.live is not None:
                await self.live.print("\n")
            raise
        raise EngineFailedError("The transcription ended without a result.")

    async def _print(self, name: str, event: TranscriptEvent) -> str:
        if self.live is None:
            return ""
        text = self.rendering.event(name, event)
        if text:
            await self.live.print(text)
        return text


def run(wishes: Wishes, settings: Settings) -> int:
    """Transcribes; returns the exit status.

    Raises:
        typer.Exit: Nothing could be begun; why was said.
    """
    _check(wishes)
    has_live_terminal = wishes.request.stream and sys.stdout.isatty()
    screen = Screen(len(wishes.names), bars=sys.stderr.isatty() and not has_live_terminal)
    _log_to(screen, settings)
    rendering = Rendering(
        wishes.request, wishes.task, with_names=len(wishes.names) > 1, with_speakers=wishes.speakers
    )
    stdout = Stdout(screen.paused) if sys.stdout.isatty() else Stdout()
    output = stdout if wishes.folder is None else Folder(_paths(wishes, wishes.folder))
    _check_readable(wishes)
    live = stdout if wishes.request.stream else None
    batch = Batch(wishes.names, rendering, output, live, settings, screen, wishes.known)
    try:
        with ending_at_once():
            # Several are a server's: the first one is what it would answer with.
            # Nobody waits for one file more than for another: a second worker would only take memory.
            alone = {"model": settings.model[:1], "express_worker": "off"}
            spec = find_spec(settings.model_copy(update=alone))
        return anyio.run(_run_to_end, batch, spec)
    except OperatorError as error:
        fail(str(error))
    except InvalidRequestError as error:
        fail(error.message, status=2)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    except UnavailableError as error:
        fail(error.message)
    except StdoutError as error:
        if error.is_closed:
            return 128 + signal.SIGPIPE
        fail(f"standard output: {error}")
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _check(wishes: Wishes) -> None:
    several = len(wishes.names) > 1
    if wishes.names.count(STDIN) > 1:
        fail("standard input (-) can be read once only", status=2)
    if wishes.folder is not None and wishes.request.stream:
        fail("--stream prints and --output-dir writes files: choose one", status=2)
    if wishes.folder is None and several and wishes.request.response_format in SUBTITLES:
        fail(f"{wishes.request.response_format} of several files needs --output-dir", status=2)
    if wishes.folder is None and wishes.overwrite:
        fail("--overwrite needs --output-dir", status=2)


def _check_readable(wishes: Wishes) -> None:
    # Where some can be opened those are transcribed, and the others are named when it is their turn.
    faults = {name: unreadable(name) for name in wishes.names}
    voices = {str(path): unreadable(str(path)) for _, path in wishes.known}
    if all(faults.values()) or any(voices.values()):
        wrong = (faults if all(faults.values()) else {}) | {name: why for name, why in voices.items() if why}
        fail("\n".join(f"{printable(name)}: {why}" for name, why in wrong.items()))


def _paths(wishes: Wishes, folder: Path) -> list[Path]:
    try:
        paths = plan_files(
            wishes.names, folder, SUFFIXES[wishes.request.response_format], overwrite=wishes.overwrite
        )
        folder.mkdir(parents=True, exist_ok=True)
    except OutputError as error:
        fail(str(error), status=2)
    except OSError as error:
        fail(f"{folder}: {error.strerror}", status=2)
    return paths


def _log_to(screen: Screen, settings: Settings) -> None:
    """Quiet unless asked: what matters to a person is said without the log."""
    level = settings.log_level if "log_level" in settings.model_fields_set else "warning"
    handler = ScreenHandler(screen)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for name in ("httpx", "huggingface_hub"):
        logging.getLogger(name).setLevel(logging.WARNING)


async def _run_to_end(batch: Batch, spec: EngineSpec) -> int:
    """The exit status; a signal ends the work in order, a second one at once."""
    caught = 0

    async def cancel_on_signal() -> None:
        nonlocal caught
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                caught = number
                tasks.cancel_scope.cancel()
                return

    with batch.screen.open():
        async with open_task_group() as tasks:
            tasks.start_soon(cancel_on_signal)
            await batch.run(spec)
            tasks.cancel_scope.cancel()
    if caught:
        return 128 + caught
    batch.screen.summarize()
    return 1 if batch.failures else 0
