"""Messages keep their values over a pipe, the worker's loop answers each, and its channel is its own."""

import io
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest

from gateway.engine.api import Capabilities, DecodeOptions, DecodeRequest
from gateway.engine.watch import is_stopped
from gateway.engine.worker import (
    CPUS_VARIABLE,
    MAX_PARTS,
    NUMBER,
    BatchFailed,
    LoadFailed,
    is_out_of_memory,
    number_of,
    pack,
    read_parts,
    serve,
    unpack,
)
from gateway.transcript import Hypothesis
from tests.scripted import Act, ScriptedSpec, act
from tests.support import until


def row(number: int, what: Act = Act.SAY) -> DecodeRequest:
    """A row for the scripted engine."""
    return DecodeRequest(act(number, what), DecodeOptions())


def wire(*messages: object) -> bytes:
    """What goes over the pipe."""
    return b"".join(bytes(part) for message in messages for part in pack(message))


def messages_in(data: bytes) -> list[Any]:
    """What came over the pipe."""
    stream = io.BytesIO(data)
    messages = []
    while (parts := read_parts(stream)) is not None:
        messages.append(unpack(parts))
    return messages


def run_serve(*messages: object) -> list[Any]:
    """Feeds the worker's loop in this process and returns its answers."""
    answers = io.BytesIO()
    serve((read_parts(io.BytesIO(wire(message))) or [] for message in messages), answers)
    return messages_in(answers.getvalue())


def test_messages_keep_their_values() -> None:
    """Arrays come out equal, writable and without a copy in the pickle."""
    samples = np.arange(480_000, dtype=np.float32)
    parts = pack([DecodeRequest(samples, DecodeOptions(language="de"))])
    ((request,),) = messages_in(b"".join(map(bytes, parts)))

    assert request.options.language == "de"
    assert np.array_equal(request.samples, samples)
    assert request.samples.flags.writeable
    assert sum(map(len, parts[:-1])) < 2000


def test_arrays_that_are_not_contiguous_travel_too() -> None:
    """A slice with a stride has no buffer of its own."""
    samples = np.arange(10, dtype=np.float32)[::2]
    (result,) = messages_in(wire(samples))

    assert np.array_equal(result, samples)


def test_a_message_cut_anywhere_is_the_end() -> None:
    """A parent that dies while it writes leaves no half message behind."""
    data = wire([row(1)])

    assert len(messages_in(data)) == 1
    assert all(messages_in(data[:length]) == [] for length in (0, 1, 3, 4, 11, 20, 21, 100, len(data) - 1))


@pytest.mark.parametrize("count", [0, MAX_PARTS + 1, 0x68656C6C])
def test_what_is_no_message_is_refused(count: int) -> None:
    """Somebody else's bytes do not make us read for ever."""
    with pytest.raises(ValueError, match="not a message"):
        read_parts(io.BytesIO(struct.pack("!I", count) + b"o world"))


def test_the_loop_answers_every_message_in_order(capfd: pytest.CaptureFixture[str]) -> None:
    """An exception fails its batch only, and its traceback goes to stderr."""
    ready, good, bad, last = run_serve(ScriptedSpec(), [row(1), row(2)], [row(3, Act.RAISE)], [row(4)])

    assert isinstance(ready, Capabilities)
    assert [result.segments[0].text for result in good if isinstance(result, Hypothesis)] == [" 1", " 2"]
    assert bad == BatchFailed("ValueError: the row asked for it", out_of_memory=False)
    assert [type(result) for result in last] == [Hypothesis]
    assert "Traceback" in capfd.readouterr().err


def test_out_of_memory_is_told_apart(capfd: pytest.CaptureFixture[str]) -> None:
    """The parent halves the batch then."""
    _, failed = run_serve(ScriptedSpec(oom_over=1), [row(1), row(2)])

    assert failed.out_of_memory
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("CUBLAS_STATUS_ALLOC_FAILED"))
    assert not is_out_of_memory(RuntimeError("invalid device"))
    capfd.readouterr()


def test_a_load_that_raises_is_told_and_ends_the_loop(capfd: pytest.CaptureFixture[str]) -> None:
    """With the reason; batches are not answered."""
    answers = run_serve(ScriptedSpec(fault=Act.RAISE), [row(1)])

    assert answers == [LoadFailed("ValueError", "ValueError: the row asked for it")]
    capfd.readouterr()


def test_a_spec_that_cannot_be_unpickled_is_a_load_that_failed(capfd: pytest.CaptureFixture[str]) -> None:
    """As with an engine whose module is not installed."""
    answers = io.BytesIO()
    serve(iter([[NUMBER.pack(0), b"no pickle"]]), answers)

    assert [type(answer) for answer in messages_in(answers.getvalue())] == [LoadFailed]
    capfd.readouterr()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system pins no process")
def test_it_keeps_to_its_cores() -> None:
    """All its threads do, also those of libraries; a core it may not have is no reason to die."""
    core = max(os.sched_getaffinity(0))
    for cpus, expected in ((f"{core}", {core}), ("100000", os.sched_getaffinity(0))):
        with subprocess.Popen(
            [sys.executable, "-m", "gateway.engine.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, CPUS_VARIABLE: cpus},
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(wire(ScriptedSpec()))
            process.stdin.flush()
            ready = process.stdout.read(1)
            threads = [path.name for path in Path(f"/proc/{process.pid}/task").iterdir()]
            kept = [os.sched_getaffinity(int(thread)) for thread in threads]
            process.stdin.close()

        assert ready
        assert all(cores == expected for cores in kept)


@pytest.mark.slow
def test_prints_do_not_reach_the_answers() -> None:
    """Python's and a native library's output goes to stderr, and signals are left to the parent."""
    with subprocess.Popen(
        [sys.executable, "-m", "gateway.engine.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(wire(ScriptedSpec()))
        process.stdin.flush()
        ready = read_parts(process.stdout)  # type: ignore[arg-type]  # an IO[bytes] of Popen is a BinaryIO
        os.kill(process.pid, signal.SIGINT)
        os.kill(process.pid, signal.SIGTERM)
        process.stdin.write(wire([row(5, Act.PRINT)]))
        process.stdin.flush()
        decoded = read_parts(process.stdout)  # type: ignore[arg-type]  # the same
        process.stdin.close()

        assert isinstance(unpack(ready or []), Capabilities)
        assert unpack(decoded or [])[0].segments[0].text == " 5"
        assert process.stdout.read() == b""
        assert set(process.stderr.read().splitlines()) == {b"a stray print", b"a native library's message"}
        assert process.wait() == 0


@pytest.mark.slow
def test_a_load_that_raises_ends_the_process() -> None:
    """At once and without an abort, though its reader still waits for input."""
    with subprocess.Popen(
        [sys.executable, "-m", "gateway.engine.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(wire(ScriptedSpec(fault=Act.RAISE)))
        process.stdin.flush()

        assert [type(answer) for answer in messages_in(process.stdout.read())] == [LoadFailed]
        assert process.wait() == 1


@pytest.mark.slow
def test_the_end_of_input_ends_it_in_mid_batch() -> None:
    """A worker that decodes for ever does not outlive its parent's end of the pipe."""
    with subprocess.Popen(
        [sys.executable, "-m", "gateway.engine.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(wire(ScriptedSpec(), [row(1, Act.HANG)]))
        process.stdin.flush()
        read_parts(process.stdout)  # type: ignore[arg-type]  # an IO[bytes] of Popen is a BinaryIO
        process.stdin.close()

        assert process.wait() == 0


def test_lanes_answer_each_message_by_its_number(capfd: pytest.CaptureFixture[str]) -> None:
    """Two lanes take turns as they please: an answer says what it answers, a failure too."""
    sent = {1: [row(1)], 2: [row(2, Act.RAISE)], 3: [row(3)]}
    numbered = [(0, ScriptedSpec(lanes=2)), *sent.items()]
    inbox: SimpleQueue[Any] = SimpleQueue()
    for number, message in numbered:
        inbox.put([bytearray(part) for part in pack(message, number)[2:]])
    for _ in range(2):  # an end for each lane
        inbox.put(None)
    answers = io.BytesIO()
    serve(iter(inbox.get, None), answers)
    answers.seek(0)
    came = {}
    while (parts := read_parts(answers)) is not None:
        came[number_of(parts)] = unpack(parts)

    assert set(came) == {0, 1, 2, 3}
    assert [came[number][0].segments[0].text for number in (1, 3)] == [" 1", " 3"]
    assert isinstance(came[2], BatchFailed)
    capfd.readouterr()


@pytest.mark.slow
@pytest.mark.promise("a stopped worker does not outlive the server")
def test_a_stopped_worker_does_not_outlive_its_parent() -> None:
    """It reads no end of input, but the kernel ends it when the server is killed."""
    program = (
        "import subprocess, sys\n"
        "worker = subprocess.Popen([sys.executable, '-m', 'gateway.engine.worker'], stdin=subprocess.PIPE,"
        " stdout=subprocess.PIPE)\n"
        "worker.stdin.write(bytes.fromhex(sys.argv[1]))\n"
        "worker.stdin.flush()\n"
        "worker.stdout.read(1)\n"
        "print(worker.pid, flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, wire(ScriptedSpec()).hex()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        os.kill(worker, signal.SIGSTOP)
        until(lambda: is_stopped(worker))
        parent.kill()

        until(lambda: not Path(f"/proc/{worker}/cmdline").exists() or _is_zombie(worker))


def _is_zombie(pid: int) -> bool:
    """It is dead; whoever takes over orphans here has not noticed yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
