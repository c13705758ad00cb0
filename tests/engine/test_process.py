"""The parent's handle tells how its worker fared, and never leaves one behind."""

import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from gateway.engine.api import DecodeOptions, DecodeRequest, ReplicaOptions, RowFailed
from gateway.engine.process import ProcessReplica
from gateway.errors import BatchFailedError, LoadFailedError, WorkerLostError
from gateway.transcript import Hypothesis
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
async def replica_of(spec: ScriptedSpec, **options: Any) -> AsyncIterator[ProcessReplica]:
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


async def test_a_hang_is_ended_at_the_deadline(caplog: pytest.LogCaptureFixture) -> None:
    """However much audio and however many rows it holds; the worker says where it hangs, and is killed."""
    rows = [row(1, Act.HANG), *(row(number) for number in range(2, 9))]
    with caplog.at_level(logging.INFO):
        async with replica_of(ScriptedSpec(), row_timeout=0.2) as replica:
            with pytest.raises(WorkerLostError, match="hung") as hung:
                await replica.transcribe(rows)

    assert not hung.value.was_killed
    assert "in _misbehave" in caplog.text


@pytest.mark.parametrize("is_busy", [True, False])
async def test_a_stopped_worker_is_replaced(*, is_busy: bool) -> None:
    """With a batch or without; no row is to blame for it, as none is for a SIGKILL."""
    ended = anyio.Event()
    replica = ProcessReplica(ScriptedSpec(), {}, ReplicaOptions(row_timeout=0.4))
    async with anyio.create_task_group() as tasks:
        await replica.start(tasks, ended.set)
        os.kill(replica.pid or 0, signal.SIGSTOP)
        if is_busy:
            with pytest.raises(WorkerLostError) as lost:
                await replica.transcribe([row(1)])

            assert lost.value.was_killed
        else:
            await ended.wait()
        await replica.stop()

    assert not is_alive(replica.pid)


async def test_how_long_a_batch_may_work() -> None:
    """A deadline for each row; more where the machine is slow, and while nobody knows that it is not."""
    options = ReplicaOptions(row_timeout=30, per_audio_second=10, slack=4)

    assert options.busy_timeout(8, 8.0, 0.1) == pytest.approx(240)
    assert options.busy_timeout(1, 30.0, 0.1) == pytest.approx(30)
    assert options.busy_timeout(1, 30.0, 3.0) == pytest.approx(360)
    assert options.busy_timeout(1, 30.0, 0.0) == pytest.approx(300)


async def test_a_worker_gets_to_know_its_machine() -> None:
    """Of what a second of audio cost, the most counts; short rows say nothing."""
    async with replica_of(ScriptedSpec()) as replica:
        await replica.transcribe([row(1)])
        assert replica._pace == 0
        await replica.transcribe([DecodeRequest(act(1, seconds=20), DecodeOptions())])

        assert replica._pace > 0


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
