"""How transcripts look and where they go: to standard output in the order of the inputs, or to files."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import anyio
import anyio.to_thread

from gateway.cli.common import printable
from gateway.cli.inputs import STDIN
from gateway.engine.api import Task
from gateway.errors import OutputError, StdoutError
from gateway.protocol.answers import render
from gateway.protocol.events import EventRenderer, encode
from gateway.protocol.request import TranscriptionRequest
from gateway.transcript import Segment, SegmentDone, TextDelta, Transcript, TranscriptDone, TranscriptEvent

SUFFIXES = {
    "text": ".txt",
    "json": ".json",
    "verbose_json": ".json",
    "diarized_json": ".json",
    "srt": ".srt",
    "vtt": ".vtt",
}


@dataclass(frozen=True, slots=True)
class Rendering:
    """How the transcripts of one command look.

    Attributes:
        with_names: Each line begins with its file's name (text), each object holds it as ``file`` (JSON).
        with_speakers: In text, each turn is a line that begins with who speaks.
    """

    request: TranscriptionRequest
    task: Task
    with_names: bool
    with_speakers: bool = False

    def result(self, name: str, transcript: Transcript) -> str:
        """The whole transcript in the format that was asked for."""
        body = render(transcript, self.request, task=self.task).body
        match self.request.response_format:
            case "text":
                return self._lines(name, _turns(transcript.segments) if self.with_speakers else body)
            case "srt" | "vtt":
                return body
            case _:
                return self._object(name, json.loads(body))

    def event(self, name: str, event: TranscriptEvent) -> str:
        """What becomes known; the events of one file joined are its text and a line's end."""
        if self.request.response_format != "text":
            renderer = EventRenderer(self.request, with_logprobs=False)
            return "".join(self._object(name, fields) for fields in renderer.render(event))
        match event:
            case SegmentDone(segment=segment) if self.with_speakers:
                return self._lines(name, _turns([segment]))
            case _ if self.with_speakers:
                return ""
            case TextDelta(text):
                return self._lines(name, text.strip()) if self.with_names else text
            case TranscriptDone() if not self.with_names:
                return "\n"
            case _:
                return ""

    def _lines(self, name: str, text: str) -> str:
        if not self.with_names:
            return f"{text}\n"
        return "".join(f"{printable(name)}: {line}\n" for line in text.splitlines() or [""])

    def _object(self, name: str, fields: Mapping[str, object]) -> str:
        return encode({"file": printable(name), **fields} if self.with_names else fields) + "\n"


def _turns(segments: Sequence[Segment]) -> str:
    """A line for each turn: its speaker, and what is said in it."""
    turns = groupby(segments, lambda segment: segment.speaker)
    return "\n".join(
        f"{speaker}: {''.join(segment.text for segment in turn).strip()}" for speaker, turn in turns
    )


class Stdout:
    """Standard output, as UTF-8 whatever the locale says.

    Args:
        room: A context in which nothing else is on the terminal.
    """

    def __init__(self, room: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        self._room = room
        self._waiting: dict[int, str] = {}
        self._next = 0
        self._turn = anyio.Lock()

    async def put(self, index: int, text: str) -> None:
        """Prints it once all before it are printed or skipped."""
        self._waiting[index] = text
        async with self._turn:
            while self._next in self._waiting:
                ready = self._waiting.pop(self._next)
                self._next += 1
                await self._write(ready)

    async def skip(self, index: int) -> None:
        """Lets those after it pass."""
        await self.put(index, "")

    async def print(self, text: str) -> None:
        """Prints at once.

        Raises:
            StdoutError: It cannot be printed.
        """
        async with self._turn:
            await self._write(text)

    async def _write(self, text: str) -> None:
        if not text:
            return
        # In a thread that is left behind when cancelled: a reader who has stopped must not hold up the end.
        with self._room():
            await anyio.to_thread.run_sync(_print, text.encode(errors="replace"), abandon_on_cancel=True)


class Folder:
    """One file for each input, there as a whole or not at all."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    async def put(self, index: int, text: str) -> None:
        """Writes the file.

        Raises:
            OSError: It cannot be written.
        """
        await anyio.to_thread.run_sync(_write_whole, self._paths[index], text.encode(errors="replace"))

    async def skip(self, index: int) -> None:
        """Leaves no file."""


def plan_files(names: Sequence[str], folder: Path, suffix: str, *, overwrite: bool) -> list[Path]:
    """The output of each input, once it is sure that nothing of value is overwritten.

    Raises:
        OutputError: Two inputs share an output, or it exists, or is an input.
    """
    paths = [folder / f"{'stdin' if name == STDIN else Path(name).stem}{suffix}" for name in names]
    inputs = {key for name in names if name != STDIN and (key := _identity(Path(name)))}
    problems = []
    for number, (name, path) in enumerate(zip(names, paths, strict=True)):
        if path in paths[:number]:
            problems.append(f"{name} and {names[paths.index(path)]} would both be written to {path}")
        elif (key := _identity(path)) in inputs and key:
            problems.append(f"{path} is an input and is not overwritten")
        elif path.is_dir():
            problems.append(f"{path} is a folder")
        elif os.path.lexists(path) and not overwrite:
            problems.append(f"{path} exists; --overwrite replaces it")
    if problems:
        raise OutputError("\n".join(problems))
    return paths


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and file number: the same for links and other spellings of one file."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _write_whole(path: Path, data: bytes) -> None:
    # Not by `tempfile`, whose files only their owner may read: a transcript is as public as any new file.
    temporary = path.with_name(f".{path.name[:100]}.{os.getpid()}.part")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _print(data: bytes) -> None:
    # Past sys.stdout, which would keep what could not be written and complain about it again at the exit.
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(1, rest) :]
    except OSError as error:
        raise StdoutError(
            error.strerror or str(error), is_closed=isinstance(error, BrokenPipeError)
        ) from error
