"""An engine in a worker process on this machine, handled by its parent: no threads, and never an orphan."""

import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from subprocess import PIPE
from typing import Any, cast

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process, TaskGroup
from anyio.streams.buffered import BufferedByteReceiveStream

from gateway.aio import open_task_group
from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import Capabilities, DecodeRequest, Engine, ReplicaOptions, RowFailed
from gateway.engine.watch import cpu_seconds, is_stopped, until_stopped, until_stuck
from gateway.engine.worker import (
    COUNT,
    MAX_PART_BYTES,
    BatchFailed,
    LoadFailed,
    number_of,
    pack,
    sizes_struct,
    unpack,
)
from gateway.errors import BatchFailedError, LoadFailedError, WorkerLostError
from gateway.handles import RESERVE, is_lack
from gateway.transcript import Hypothesis

logger = logging.getLogger(__name__)

KEPT_LINES = 60
"""Last lines of a worker's stderr that the log shows when it dies: tracebacks, and what came before."""

MAX_LINE_BYTES = 4096
"""A longer line of stderr is cut."""

LEAST_PACE_SECONDS = 5.0
"""Shorter audio does not tell how fast a worker is."""

DUMP_SECONDS = 0.2
"""What a worker that hangs gets to write down where, before it is killed."""


class ProcessSpec:
    """Base of the specs whose engine is loaded in a worker process on this machine. They are pickled."""

    __slots__ = ()

    @property
    def lanes(self) -> int:
        """So many batches are decoded at once, each in a thread of its own."""
        return 1

    @property
    def express(self) -> bool:
        """No second worker beside it."""
        return False

    @property
    def places(self) -> None:
        """On this machine's devices, as the settings say."""
        return None

    def replica(self, environment: Mapping[str, str], options: ReplicaOptions) -> "ProcessReplica":
        """A worker process that does not run yet; see `EngineSpec`."""
        return ProcessReplica(self, environment, options)

    def load(self) -> Engine:
        """Loads the model and warms it up; runs inside the worker."""
        raise NotImplementedError


class _Answer:
    """What a message to the worker is answered.

    Attributes:
        came: Set once there is one, or can be none.
        is_lost: There can be none.
    """

    def __init__(self) -> None:
        self.came = anyio.Event()
        self.is_lost = False
        self.message: object = None

    def give(self, message: object) -> None:
        """It is this."""
        self.message = message
        self.came.set()

    def lose(self) -> None:
        """None will come."""
        self.is_lost = True
        self.came.set()


class ProcessReplica:
    """A `Replica` that is a worker process.

    Args:
        environment: Variables the worker gets beside our own, as OMP_NUM_THREADS or CUDA_VISIBLE_DEVICES.
    """

    def __init__(self, spec: ProcessSpec, environment: Mapping[str, str], options: ReplicaOptions) -> None:
        self._spec = spec
        self._environment = environment
        self._options = options
        self._process: Process | None = None
        self._numbers = count()
        self._sending = anyio.Lock()
        self._awaited: dict[int, _Answer] = {}
        self._is_deaf = False
        """No answer can be received any more."""
        self._exited = anyio.Event()
        self._stderr_ended = anyio.Event()
        self._last_lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._failed = False
        self._pace = 0.0
        """The most processor time that a second of audio has taken so far; 0 while nobody knows."""

    @property
    def pid(self) -> int | None:
        """Of the process, once it is started."""
        return self._process.pid if self._process else None

    @property
    def exited(self) -> bool:
        """The process has ended."""
        return self._exited.is_set()

    @property
    def retired(self) -> bool:
        """It is needed for as long as its batcher runs."""
        return False

    @property
    def load(self) -> int:
        """It has no other parents."""
        return 0

    async def start(self, tasks: TaskGroup, on_exit: Callable[[], None] = lambda: None) -> Capabilities:
        """Starts the process and waits until its engine is loaded; ``tasks`` relays its stderr."""
        # -P: a worker must not import from the folder the server happens to be started in.
        command = [sys.executable, "-P", "-m", "gateway.engine.worker"]
        try:
            # Shielded: cancelled half-way it would leave a process that nobody knows.
            with anyio.CancelScope(shield=True):
                process = await anyio.open_process(
                    command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env={**os.environ, **self._environment}
                )
        except OSError as error:
            if is_lack(error):
                RESERVE.lend()  # for the next try
            raise WorkerLostError(f"cannot start: {error.strerror}", kind="not_started") from error
        self._process = process
        answers = BufferedByteReceiveStream(cast("ByteReceiveStream", process.stdout))
        tasks.start_soon(self._receive_answers, answers)
        tasks.start_soon(self._watch, on_exit)
        tasks.start_soon(self._relay_stderr)
        tasks.start_soon(self._end_when_stopped, process.pid)
        seconds = self._options.load_timeout
        match await self._exchange(self._spec, idle=seconds, busy=seconds):
            case Capabilities() as capabilities:
                return capabilities
            case LoadFailed(kind, reason):
                raise LoadFailedError(kind, reason)
            case _:
                raise self._lost(WorkerLostError("answered nonsense", kind="confused"))

    async def transcribe(self, batch: Sequence[DecodeRequest]) -> list[Hypothesis | RowFailed]:
        """Sends one batch to the process and waits for its results; see `Replica`."""
        audio_seconds = sum(len(row.samples) for row in batch) / SAMPLE_RATE
        busy = self._options.busy_timeout(len(batch), audio_seconds, self._pace)
        before = cpu_seconds(cast("Process", self._process).pid)
        match await self._exchange(list(batch), idle=self._options.row_timeout, busy=busy):
            case list(results) if len(results) == len(batch):
                self._learn_pace(audio_seconds, before)
                return results
            case list(results):
                raise BatchFailedError(f"{len(results)} results for {len(batch)} rows")
            case BatchFailed(reason, out_of_memory):
                raise BatchFailedError(reason, out_of_memory=out_of_memory)
            case _:
                raise self._lost(WorkerLostError("answered nonsense", kind="confused"))

    async def stop(self) -> None:
        """Ends the process, politely at first, and waits until it is gone."""
        process = self._process
        if process is None:
            return
        unexpected = self._failed or process.returncode is not None
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(self._options.stop_timeout):
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

    def _learn_pace(self, audio_seconds: float, cpu_before: float) -> None:
        # Whisper pads what is short, so that says nothing about long rows.
        if audio_seconds >= LEAST_PACE_SECONDS:
            used = cpu_seconds(cast("Process", self._process).pid) - cpu_before
            self._pace = max(self._pace, used / audio_seconds)

    async def _exchange(self, message: object, *, idle: float, busy: float) -> Any:
        """Sends a message and waits for its answer; others may be under way."""
        process = cast("Process", self._process)
        answer = _Answer()
        async with open_task_group() as tasks:
            tasks.start_soon(_cancel_when_stuck, tasks.cancel_scope, process.pid, idle, busy)
            await self._send(message, answer)
            await answer.came.wait()
            if answer.is_lost:
                raise self._lost(WorkerLostError("died", was_killed=await self._was_killed()))
            tasks.cancel_scope.cancel()
            return answer.message
        # Who stops a worker does to it what a SIGKILL does: no row is to blame.
        was_stopped = is_stopped(process.pid)
        if not was_stopped:
            await self._say_where()
        self._kill()
        raise self._lost(WorkerLostError("hung", was_killed=was_stopped, kind="hung"))

    async def _say_where(self) -> None:
        """Has the worker write its tracebacks to its stderr, and so to our log."""
        with suppress(ProcessLookupError):
            cast("Process", self._process).send_signal(signal.SIGUSR1)
            await anyio.sleep(DUMP_SECONDS)

    async def _end_when_stopped(self, pid: int) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cancel_when_exited, tasks.cancel_scope)
            await until_stopped(pid, self._options.row_timeout)
            logger.error("worker %s has been stopped for %g s: ended", pid, self._options.row_timeout)
            self._failed = True
            self._kill()

    async def _cancel_when_exited(self, scope: anyio.CancelScope) -> None:
        await self._exited.wait()
        scope.cancel()

    async def _send(self, message: object, answer: "_Answer") -> None:
        stdin = cast("ByteSendStream", cast("Process", self._process).stdin)
        async with self._sending:
            if self._is_deaf:
                answer.lose()
                return
            number = next(self._numbers)
            self._awaited[number] = answer
            try:
                for part in pack(message, number):
                    # Typed as bytes, but written as any buffer; a chunk need not be copied for it.
                    await stdin.send(cast("bytes", part))
            except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
                answer.lose()

    async def _receive_answers(self, stream: BufferedByteReceiveStream) -> None:
        """Hands each answer to who waits for it, until none can come any more."""
        # What is no message, and what ends the stream.
        with suppress(
            OSError,
            ValueError,
            anyio.BrokenResourceError,
            anyio.ClosedResourceError,
            anyio.EndOfStream,
            anyio.IncompleteRead,
        ):
            while True:
                number, message = await _receive(stream)
                if answer := self._awaited.pop(number, None):
                    answer.give(message)
        self._is_deaf = True
        for answer in self._awaited.values():
            answer.lose()

    async def _was_killed(self) -> bool:
        with anyio.move_on_after(1):
            return await cast("Process", self._process).wait() == -signal.SIGKILL
        return False

    def _lost(self, error: WorkerLostError) -> WorkerLostError:
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


async def _cancel_when_stuck(scope: anyio.CancelScope, pid: int, idle: float, busy: float) -> None:
    await until_stuck(pid, idle, busy)
    scope.cancel()


async def _receive(stream: BufferedByteReceiveStream) -> tuple[int, Any]:
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
        return number_of(parts), unpack(parts)
    except Exception as error:
        # Bytes that are no pickle raise anything; so does a class that only the worker can import.
        raise ValueError("not a message") from error
