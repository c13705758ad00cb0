"""The child process: ``python -m gateway.engine.worker`` loads one engine and decodes batch after batch.

Messages are a number and a pickle after their sizes: a `ProcessSpec`, then lists of
`DecodeRequest`, come in on descriptor 0; the engine's `Capabilities` or `LoadFailed`, then lists of results
or `BatchFailed`, each with the number of what it answers, go out on what was descriptor 1. As many batches as
the engine has lanes are decoded at once. Nothing but the standard library is imported at the top, so that
nothing prints into the answers before `main` has moved them.
"""

import ctypes
import faulthandler
import fcntl
import importlib
import os
import pickle
import signal
import struct
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from gateway import allocator

if TYPE_CHECKING:
    from gateway.engine.api import Engine
    from gateway.engine.process import ProcessSpec

Parts: TypeAlias = Sequence[bytes | bytearray | memoryview]
"""A pickle, and after it the arrays it refers to: they are never copied into the pickle."""

COUNT = struct.Struct("!I")
NUMBER = struct.Struct("!Q")

MAX_PARTS = 4096
"""A count beyond it is no count: somebody else wrote into the channel."""

MAX_PART_BYTES = 1 << 30
"""The same for a size; a chunk has under 2 MB."""

PIPE_BYTES = 1 << 20
"""Linux's limit for unprivileged processes."""

PR_SET_PDEATHSIG = 1
"""Of prctl(2). The signal comes when the *thread* ends that started us: the server's event loop."""

CPUS_VARIABLE = "GATEWAY_WORKER_CPUS"
"""Names the cores this process is kept on, as ``0,1``; the parent sets it."""

NICE_VARIABLE = "GATEWAY_WORKER_NICE"
"""By how much this process gives way to others where cores are short; the parent sets it."""

OUT_OF_MEMORY = ("out of memory", "alloc_failed", "failed to allocate")
"""As CTranslate2 (CUDA), cuBLAS and ONNX Runtime say it, in lower case."""


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """`ProcessSpec.load` raised; trying again will not help."""

    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class BatchFailed:
    """`Engine.transcribe` raised; the worker lives."""

    reason: str
    out_of_memory: bool


def pack(message: object, number: int = 0) -> Parts:
    """A message as what goes over the wire: count, sizes, number, pickle, arrays."""
    arrays: list[pickle.PickleBuffer] = []
    body = pickle.dumps(message, protocol=5, buffer_callback=arrays.append)
    parts: list[bytes | memoryview] = [NUMBER.pack(number), body, *(array.raw() for array in arrays)]
    return [COUNT.pack(len(parts)), sizes_struct(len(parts)).pack(*map(len, parts)), *parts]


def unpack(parts: Parts) -> Any:
    """The message of ``parts``. Only for what our own processes wrote: unpickling runs code."""
    return pickle.loads(parts[1], buffers=parts[2:])  # noqa: S301 (a pipe between parent and child, no stranger's data)


def number_of(parts: Parts) -> int:
    """The message's number: an answer has that of what it answers.

    Raises:
        ValueError: It has none.
    """
    if len(parts) < 2 or len(parts[0]) != NUMBER.size:
        raise ValueError("not a message")
    number: int = NUMBER.unpack(parts[0])[0]
    return number


def sizes_struct(count: int) -> struct.Struct:
    """The header of a message of ``count`` parts.

    Raises:
        ValueError: There cannot be so many.
    """
    if not 1 <= count <= MAX_PARTS:
        raise ValueError("not a message")
    return struct.Struct(f"!{count}Q")


def read_parts(stream: BinaryIO) -> Parts | None:
    """Reads one message; None where the stream ends."""
    head = stream.read(COUNT.size)
    if len(head) < COUNT.size:
        return None
    sizes = sizes_struct(*COUNT.unpack(head))
    head = stream.read(sizes.size)
    if len(head) < sizes.size:
        return None
    parts = []
    for size in sizes.unpack(head):
        part = bytearray(size)  # writable, and so are the arrays made of it: engines may scale them in place
        if stream.readinto(part) < size:  # type: ignore[attr-defined]  # BinaryIO lacks readinto, its files do not
            return None
        parts.append(part)
    return parts


def serve(messages: Iterator[Parts], answers: BinaryIO) -> None:
    """Loads the engine of the first message and decodes the others, one in each of its lanes.

    Args:
        messages: Asked for the next one by all lanes at once.
    """
    first = next(messages)
    number = number_of(first)
    try:
        spec: ProcessSpec = unpack(first)
        engine = spec.load()
        # What only loading took, as much as the weights, no row will need.
        allocator.trim()
        capabilities = engine.capabilities
    except Exception as error:  # noqa: BLE001 (whatever a backend raises is told to the parent)
        traceback.print_exc()
        failed = LoadFailed(type(error).__name__, f"{type(error).__name__}: {error}")
        _write(answers, pack(failed, number))
        return
    _write(answers, pack(capabilities, number))
    lock = threading.Lock()
    lanes = [
        threading.Thread(target=_decode, args=(engine, messages, answers, lock), daemon=True)
        for _ in range(spec.lanes)
    ]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()


def _decode(engine: "Engine", messages: Iterator[Parts], answers: BinaryIO, lock: threading.Lock) -> None:
    """One lane: answers batch after batch."""
    for parts in messages:
        number = number_of(parts)
        try:
            answer = pack(engine.transcribe(unpack(parts)), number)
        except Exception as error:  # noqa: BLE001 (the parent tries the rows one by one)
            traceback.print_exc()
            failed = BatchFailed(f"{type(error).__name__}: {error}", is_out_of_memory(error))
            answer = pack(failed, number)
        with lock:
            _write(answers, answer)


def is_out_of_memory(error: Exception) -> bool:
    """Whether a smaller batch may do; backends say it in words only."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in OUT_OF_MEMORY)


def _write(answers: BinaryIO, parts: Parts) -> None:
    answers.writelines(parts)
    answers.flush()


def _read_until_parent_leaves(stream: BinaryIO, inbox: "SimpleQueue[Parts]") -> None:
    """Runs in a thread, so that the end of the parent ends this process even while it decodes."""
    while (parts := read_parts(stream)) is not None:
        inbox.put(parts)
    os._exit(0)


def _end_with_parent() -> None:
    """Linux: has the kernel kill us when the parent ends, even where we are stopped and read no input."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Serves the parent until it closes our standard input."""
    _end_with_parent()
    allocator.keep()
    # Where a native library crashes, and where we hang when the parent asks: to stderr, and so to the log.
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)
    # Native libraries and stray prints write to descriptor 1: from here on that is stderr.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    # Ctrl-C reaches the whole process group, and systemd sends SIGTERM to the whole service, while the parent
    # still drains its queue through us. It ends us by closing our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Before any thread is started: threads inherit cores and niceness of the one that starts them.
    if cpus := os.environ.get(CPUS_VARIABLE):
        with suppress(OSError):  # a core that has been taken from us in the meantime
            os.sched_setaffinity(0, map(int, cpus.split(",")))
    if nice := os.environ.get(NICE_VARIABLE):
        os.nice(int(nice))
    # Linux: a batch comes in 1 MiB at a time instead of 64 KiB, which halves the time to hand it over.
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):
            fcntl.fcntl(0, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    inbox: SimpleQueue[Parts] = SimpleQueue()
    threading.Thread(target=_read_until_parent_leaves, args=(sys.stdin.buffer, inbox), daemon=True).start()
    serve(iter(inbox.get, None), answers)
    # Not by returning: the thread holds the lock of stdin, on which the interpreter's end would abort.
    sys.stderr.flush()
    os._exit(1)


if __name__ == "__main__":
    # Through the import system: classes of `__main__` would be pickled under a name the parent does not know.
    importlib.import_module("gateway.engine.worker").main()
