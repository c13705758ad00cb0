"""The parent's handle of one worker process. No threads, and never an orphan."""

import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from subprocess import PIPE
from typing import Any, cast

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process, TaskGroup
from anyio.streams.buffered import BufferedByteReceiveStream

from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import Capabilities, DecodeRequest, EngineSpec, RowFailed
from gateway.engine.worker import (
    COUNT,
    MAX_PART_BYTES,
    BatchFailed,
    Decoded,
    LoadFailed,
    Ready,
    pack,
    sizes_struct,
    unpack,
)
from gateway.transcript import Hypothesis

logger = logging.getLogger(__name__)

KEPT_LINES = 20
"""Last lines of a worker's stderr that the log shows when it dies: a traceback's end."""

MAX_LINE_BYTES = 4096
"""A longer line of stderr is cut."""


class WorkerError(Exception):
    """The worker is gone, and what it held is not decoded."""


class WorkerDiedError(WorkerError):
    """Its process ended, or it answered nonsense.

    Attributes:
        was_killed: By a SIGKILL, which no program does to itself: an operator or the system's memory ran out.
    """

    def __init__(self, reason: str, *, was_killed: bool = False) -> None:
        super().__init__(reason)
        self.was_killed = was_killed


class WorkerHungError(WorkerError):
    """It did not answer in time and was killed."""


class LoadFailedError(Exception):
    """The engine could not be loaded.

    Attributes:
        public: What may be shown to anybody.
        reason: The whole truth, for operators.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.public = f"load failed: {kind}"
        self.reason = reason


class BatchFailedError(Exception):
    """The engine raised for this batch; the worker lives. The text is for the log."""

    def __init__(self, reason: str, *, out_of_memory: bool = False) -> None:
        super().__init__(reason)
        self.out_of_memory = out_of_memory


@dataclass(frozen=True, slots=True)
class ReplicaOptions:
    """How long a worker may take; generous, as they tell a hanging worker from a slow one.

    Attributes:
        load_seconds: To load the model, which may have to be fetched.
        row_seconds: Per row, however short: Whisper pads every row to 30 s.
        per_audio_second: On top of that, for each second of a row's audio.
        stop_seconds: To leave on its own before it is killed.
    """

    load_seconds: float = 900.0
    row_seconds: float = 30.0
    per_audio_second: float = 10.0
    stop_seconds: float = 2.0

    def batch_seconds(self, batch: Sequence[DecodeRequest]) -> float:
        """How long one call may take."""
        audio_seconds = sum(len(row.samples) for row in batch) / SAMPLE_RATE
        return len(batch) * self.row_seconds + audio_seconds * self.per_audio_second


class Replica:
    """One worker process: `start` it once, `transcribe` batches one at a time, `stop` it whatever happened.

    Args:
        environment: Variables the worker gets beside our own, as OMP_NUM_THREADS or CUDA_VISIBLE_DEVICES.
    """

    def __init__(
        self, spec: EngineSpec, environment: Mapping[str, str], options: ReplicaOptions | None = None
    ) -> None:
        self._spec = spec
        self._environment = environment
        self._options = options or ReplicaOptions()
        self._process: Process | None = None
        self._answers: BufferedByteReceiveStream | None = None
        self._exited = anyio.Event()
        self._stderr_ended = anyio.Event()
        self._last_lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._failed = False

    @property
    def pid(self) -> int | None:
        """Of the process, once started."""
        return self._process.pid if self._process else None

    @property
    def exited(self) -> bool:
        """Its process has ended."""
        return self._exited.is_set()

    async def start(self, tasks: TaskGroup, on_exit: Callable[[], None] = lambda: None) -> Capabilities:
        """Starts the process and waits until its engine is loaded.

        Args:
            tasks: Owns the tasks that relay stderr and watch for the end; both end with the process.
            on_exit: Called when the process ends, even if nobody waits for an answer.

        Raises:
            LoadFailedError: The engine's `load` raised.
            WorkerError: The process could not be started, died or hung.
        """
        # -P: a worker must not import from the folder the server happens to be started in.
        command = [sys.executable, "-P", "-m", "gateway.engine.worker"]
        try:
            # Shielded: cancelled half-way it would leave a process that nobody knows.
            with anyio.CancelScope(shield=True):
                process = await anyio.open_process(
                    command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env={**os.environ, **self._environment}
                )
        except OSError as error:
            raise WorkerDiedError(f"cannot start: {error.strerror}") from error
        self._process = process
        self._answers = BufferedByteReceiveStream(cast("ByteReceiveStream", process.stdout))
        tasks.start_soon(self._watch, on_exit)
        tasks.start_soon(self._relay_stderr)
        match await self._exchange(self._spec, self._options.load_seconds):
            case Ready(capabilities):
                return capabilities
            case LoadFailed(kind, reason):
                raise LoadFailedError(kind, reason)
            case _:
                raise self._lost(WorkerDiedError("answered nonsense"))

    async def transcribe(self, batch: Sequence[DecodeRequest]) -> list[Hypothesis | RowFailed]:
        """Decodes one batch. After a `WorkerError`, or if cancelled, only `stop` is left to do.

        Returns:
            As many results as rows, in their order.

        Raises:
            BatchFailedError: The engine raised, or answered too few or too many rows.
            WorkerError: The worker died or hung.
        """
        match await self._exchange(list(batch), self._options.batch_seconds(batch)):
            case Decoded(results) if len(results) == len(batch):
                return results
            case Decoded(results):
                raise BatchFailedError(f"{len(results)} results for {len(batch)} rows")
            case BatchFailed(reason, out_of_memory):
                raise BatchFailedError(reason, out_of_memory=out_of_memory)
            case _:
                raise self._lost(WorkerDiedError("answered nonsense"))

    async def stop(self) -> None:
        """Ends the process, politely at first, and waits until it is gone."""
        process = self._process
        if process is None:
            return
        unexpected = self._failed or process.returncode is not None
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(self._options.stop_seconds):
                await cast("ByteSendStream", process.stdin).aclose()
                await process.wait()
            if process.returncode is None:
                self._kill()
            code = await process.wait()
            # A grandchild may hold the other end open, so it is no use to wait for long.
            with anyio.move_on_after(1):
                await self._stderr_ended.wait()
            await process.aclose()
        self._exited.set()
        if unexpected:
            logger.error(
                "worker %s ended with code %s; it said last: %s",
                process.pid,
                code,
                "\n".join(self._last_lines),
            )

    async def _exchange(self, message: object, seconds: float) -> Any:
        stdin = cast("ByteSendStream", cast("Process", self._process).stdin)
        with anyio.move_on_after(seconds):
            try:
                for part in pack(message):
                    # Typed as bytes, but written as any buffer; a chunk need not be copied for it.
                    await stdin.send(cast("bytes", part))
                return await _receive(cast("BufferedByteReceiveStream", self._answers))
            except (
                OSError,
                ValueError,  # not a message
                anyio.BrokenResourceError,
                anyio.ClosedResourceError,
                anyio.EndOfStream,
                anyio.IncompleteRead,
            ) as error:
                raise self._lost(WorkerDiedError("died", was_killed=await self._was_killed())) from error
        self._kill()
        raise self._lost(WorkerHungError("hung"))

    async def _was_killed(self) -> bool:
        with anyio.move_on_after(1):
            return await cast("Process", self._process).wait() == -signal.SIGKILL
        return False

    def _lost(self, error: WorkerError) -> WorkerError:
        self._failed = True
        return error

    def _kill(self) -> None:
        # Not where it may have died already: `kill` would reap it itself, and asyncio invent a code.
        with suppress(ProcessLookupError):
            cast("Process", self._process).kill()

    async def _watch(self, on_exit: Callable[[], None]) -> None:
        await cast("Process", self._process).wait()
        self._exited.set()
        on_exit()

    async def _relay_stderr(self) -> None:
        """Passes the worker's lines to our log, to the end: a full pipe would stop the worker."""
        process = cast("Process", self._process)
        rest = b""
        try:
            with suppress(anyio.ClosedResourceError):
                async for data in cast("ByteReceiveStream", process.stderr):
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        self._log_line(line)
                    rest = rest[:MAX_LINE_BYTES]
        finally:
            if rest:
                self._log_line(rest)
            self._stderr_ended.set()

    def _log_line(self, line: bytes) -> None:
        text = line[:MAX_LINE_BYTES].decode(errors="replace").rstrip()
        self._last_lines.append(text)
        logger.info("worker %s: %s", self.pid, text)


async def _receive(stream: BufferedByteReceiveStream) -> Any:
    """Reads one message.

    Raises:
        ValueError: What came is not one.
    """
    sizes = sizes_struct(*COUNT.unpack(await stream.receive_exactly(COUNT.size)))
    parts = []
    for size in sizes.unpack(await stream.receive_exactly(sizes.size)):
        if size > MAX_PART_BYTES:
            raise ValueError("not a message")
        parts.append(await stream.receive_exactly(size))
    try:
        return unpack(parts)
    except Exception as error:
        # Bytes that are no pickle raise anything; so does a class that only the worker can import.
        raise ValueError("not a message") from error
