"""The parent's handle tells how its worker fared, and never leaves one behind."""

import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from gateway.engine.api import DecodeOptions, DecodeRequest, ReplicaOptions, RowFailed
from gateway.engine.process import ProcessReplica, _cancel_when_stuck, cpu_seconds
from gateway.errors import BatchFailedError, LoadFailedError, WorkerLostError
from gateway.transcript import Hypothesis
from tests.clock import Clock
from tests.scripted import CAPABILITIES, Act, ScriptedSpec, act

pytestmark = pytest.mark.slow


def row(number: int, what: Act = Act.SAY) -> DecodeRequest:
    """A row for the scripted engine."""
    return DecodeRequest(act(number, what), DecodeOptions())


def texts(results: list[Hypothesis | RowFailed]) -> list[str]:
    """What the rows said."""
    return [result.segments[0].text for result in results if isinstance(result, Hypothesis)]


def is_alive(pid: int | None) -> bool:
    """A process of that id exists, if only as a zombie."""
    assert pid is not None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@asynccontextmanager
async def replica_of(spec: ScriptedSpec, **options: float) -> AsyncIterator[ProcessReplica]:
    """A started replica, stopped at the end."""
    replica = ProcessReplica(spec, {}, ReplicaOptions(**options))
    tasks = anyio.create_task_group()
    await tasks.__aenter__()
    try:
        await replica.start(tasks)
        yield replica
    finally:
        await replica.stop()
        await tasks.__aexit__(None, None, None)

    assert not is_alive(replica.pid)


async def test_batches_are_answered_in_order() -> None:
    """One after the other, each row by its own answer; the process ends by itself when told."""
    async with replica_of(ScriptedSpec()) as replica:
        first = await replica.transcribe([row(1), row(2)])
        second = await replica.transcribe([row(3)])

    assert texts(first + second) == [" 1", " 2", " 3"]


async def test_start_tells_what_the_engine_can_do_and_stop_what_is_left() -> None:
    """The end is noticed by whoever asked for it, and there is no process then."""
    ended = anyio.Event()
    replica = ProcessReplica(ScriptedSpec(), {"OMP_NUM_THREADS": "1"}, ReplicaOptions())
    async with anyio.create_task_group() as tasks:
        capabilities = await replica.start(tasks, ended.set)
        pid = replica.pid
        await replica.stop()
        await ended.wait()

    assert capabilities == CAPABILITIES
    assert replica.exited
    assert not is_alive(pid)


async def test_an_unstarted_replica_can_be_stopped() -> None:
    """As after a start that was cancelled before there was a process."""
    replica = ProcessReplica(ScriptedSpec(), {}, ReplicaOptions())
    await replica.stop()

    assert replica.pid is None


async def test_an_exception_leaves_the_worker_alive() -> None:
    """So do answers that are too few, which are an engine's bug."""
    async with replica_of(ScriptedSpec()) as replica:
        with pytest.raises(BatchFailedError, match="ValueError: the row asked for it"):
            await replica.transcribe([row(1, Act.RAISE)])

        assert texts(await replica.transcribe([row(2)])) == [" 2"]
    async with replica_of(ScriptedSpec(too_few=True)) as replica:
        with pytest.raises(BatchFailedError, match="1 results for 2 rows"):
            await replica.transcribe([row(1), row(2)])


async def test_a_death_in_mid_batch_is_told_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """With its exit code and last words in the log only."""
    async with replica_of(ScriptedSpec()) as replica:
        with pytest.raises(WorkerLostError) as died:
            await replica.transcribe([row(1, Act.PRINT), row(2, Act.DIE)])

    assert str(died.value) == "died"
    assert f"ended with code {-signal.SIGABRT}" in caplog.text
    assert "a native library's message" in caplog.text


async def test_a_hang_is_ended_at_the_deadline() -> None:
    """The worker is killed; the caller need not know how."""
    async with replica_of(ScriptedSpec(), row_timeout=0.2, per_audio_second=0) as replica:
        with pytest.raises(WorkerLostError, match="hung"):
            await replica.transcribe([row(1, Act.HANG)])


@pytest.mark.parametrize(
    ("times", "halves"),
    [
        ([0, 0.5, 0.5], 2),  # it waits for something
        ([0, 5, 10], 2),  # it runs in circles
        ([0, 1, 2, 3, 3], 4),  # it is starved, and then hangs
        ([0, 3, 5, 8, 11], 4),  # it is starved, and then has had its time
    ],
)
async def test_starved_is_not_hung(
    times: list[float], halves: int, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten seconds count by the clock where the worker gets a processor, else by what it got of one."""
    known = iter(times)
    monkeypatch.setattr("gateway.engine.process.cpu_seconds", lambda _: next(known))
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_cancel_when_stuck, scope, 1, 10.0)
            for _ in range(halves):
                await anyio.wait_all_tasks_blocked()
                assert not scope.cancel_called
                clock.advance(5)
                await anyio.sleep(0.001)
            await anyio.sleep_forever()

    assert next(known, None) is None


def test_processor_time() -> None:
    """Of a process that works, and of none."""
    before = cpu_seconds(os.getpid())
    sum(range(10**6))

    assert cpu_seconds(os.getpid()) > before > 0
    assert cpu_seconds(2**22 + 1) == 0


@pytest.mark.parametrize(
    "program",
    [
        "printf 'hello world, no message at all'",
        r"printf '\0\0\0\1\377\377\377\377\377\377\377\377'",
        r"printf '\0\0\0\1\0\0\0\0\0\0\0\3abc'",
        r"printf '\0\0\0\1\0\0\0\0\0\0\0\2N.'",
    ],
    ids=["text", "a size too big", "no pickle", "None"],
)
async def test_an_answer_that_is_none_is_a_death(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever comes over the pipe, the worker is replaced and the server goes on."""
    shell = tmp_path / "worker"
    shell.write_text(f"#!/bin/sh\n{program}\ncat > /dev/null\n")
    shell.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(shell))
    with pytest.raises(WorkerLostError, match=r"died|answered nonsense"):
        async with replica_of(ScriptedSpec()):
            pass


async def test_the_deadline_grows_with_rows_and_audio() -> None:
    """Two rows of a tenth of a second each."""
    options = ReplicaOptions(row_timeout=3, per_audio_second=10)

    assert options.batch_timeout([row(1), row(2)]) == pytest.approx(8.0)


async def test_loads_that_fail() -> None:
    """An exception is told with its text for operators; a death or a hang is a worker's failure."""
    with pytest.raises(LoadFailedError, match="the row asked for it") as failed:
        async with replica_of(ScriptedSpec(fault=Act.RAISE)):
            pass
    with pytest.raises(WorkerLostError, match="died"):
        async with replica_of(ScriptedSpec(fault=Act.DIE)):
            pass
    with pytest.raises(WorkerLostError, match="hung"):
        async with replica_of(ScriptedSpec(fault=Act.HANG), load_timeout=0.5):
            pass

    assert failed.value.public == "load failed: ValueError"


async def test_a_process_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is a worker that died, so it is tried again."""
    monkeypatch.setattr("sys.executable", "no such program")
    async with anyio.create_task_group() as tasks:
        with pytest.raises(WorkerLostError, match="cannot start"):
            await ProcessReplica(ScriptedSpec(), {}, ReplicaOptions()).start(tasks)


async def test_a_stopped_process_does_not_stop_us() -> None:
    """It cannot leave by itself, so it is killed after a while."""
    async with replica_of(ScriptedSpec(), stop_timeout=0.1) as replica:
        os.kill(replica.pid or 0, signal.SIGSTOP)


async def test_stop_is_not_cut_short_by_cancellation() -> None:
    """The scope that surrounds it may be cancelled, in mid-batch too."""
    replica = ProcessReplica(ScriptedSpec(), {}, ReplicaOptions())
    async with anyio.create_task_group() as tasks:
        try:
            await replica.start(tasks)
            tasks.cancel_scope.cancel()
            await replica.transcribe([row(1, Act.HANG)])
        finally:
            await replica.stop()

    assert not is_alive(replica.pid)


async def test_long_lines_and_bytes_that_are_no_text_are_logged_cut(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a native library prints, our log stays readable."""
    replica = ProcessReplica(ScriptedSpec(), {}, ReplicaOptions())
    with caplog.at_level(logging.INFO):
        replica._log_line(b"\xff" + b"x" * 100_000)

    assert len(caplog.messages[0]) < 5000
