"""A worker is replaced when it is lost, ever more slowly, and its status tells the truth meanwhile."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from gateway.engine.api import Replica, ReplicaOptions
from gateway.engine.supervisor import MAX_PAUSE_SECONDS, Supervisor, WorkerState
from gateway.errors import WorkerLostError
from gateway.metrics import Metrics
from tests.scripted import CAPABILITIES, Act, ScriptedSpec


def supervisor_of(
    spec: ScriptedSpec, on_change: Callable[[], None], restart_seconds: float = 0.01
) -> Supervisor:
    """A supervisor that does not run yet."""
    return Supervisor(spec, {}, ReplicaOptions(), restart_seconds, Metrics(), on_change)


def states_noted_by(states: list[WorkerState]) -> tuple[Callable[[Supervisor], None], Callable[[], None]]:
    """A listener, and how to tell it whom it listens to."""
    followed: list[Supervisor] = []

    def note() -> None:
        state = followed[0].status.state
        if states[-1:] != [state]:
            states.append(state)

    return followed.append, note


def test_pauses_double_up_to_a_limit() -> None:
    """The first restart is at once; the thousandth is no slower than the limit."""
    supervisor = supervisor_of(ScriptedSpec(), lambda: None, restart_seconds=0.1)
    pauses = []
    for _ in range(2000):
        supervisor._lost("died", "died")
        pauses.append(supervisor._pause())

    assert pauses[:5] == [0.0, 0.1, 0.2, 0.4, 0.8]
    assert max(pauses) == pauses[-1] == MAX_PAUSE_SECONDS


def test_a_batch_that_was_decoded_ends_the_row_of_losses() -> None:
    """So the next loss is followed by a restart at once again."""
    supervisor = supervisor_of(ScriptedSpec(), lambda: None)
    for _ in range(3):
        supervisor._lost("died", "died")
    supervisor.busy()
    supervisor.done()
    supervisor._lost("died", "died")

    assert supervisor._pause() == 0.0


@pytest.mark.slow
async def test_a_lost_worker_is_followed_by_another() -> None:
    """The status tells each step, and the reason."""
    states: list[WorkerState] = []
    follow, note = states_noted_by(states)
    supervisor = supervisor_of(ScriptedSpec(), note)
    follow(supervisor)
    pids: list[int | None] = []

    async def serve(replica: Replica) -> None:
        pids.append(replica.pid)
        if len(pids) == 2:
            tasks.cancel_scope.cancel()
            await anyio.sleep_forever()
        supervisor.busy()
        os.kill(replica.pid or 0, signal.SIGKILL)
        raise WorkerLostError("died")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(supervisor.run, tasks, serve)

    assert states == [WorkerState.READY, WorkerState.BUSY, WorkerState.RESTARTING, WorkerState.READY]
    assert supervisor.capabilities == CAPABILITIES
    assert len(set(pids)) == 2


@pytest.mark.slow
async def test_an_engine_that_never_loads_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """Its reason is kept for operators; what is shown names the exception only."""
    supervisor = supervisor_of(ScriptedSpec(fault=Act.RAISE), lambda: None)
    async with anyio.create_task_group() as tasks:
        await supervisor.run(tasks, lambda _: anyio.sleep_forever())

    assert supervisor.status.state is WorkerState.FAILED
    assert supervisor.status.reason == "load failed: ValueError"
    assert "the row asked for it" in str(supervisor.load_failure)
    assert "the row asked for it" in caplog.text


@pytest.mark.slow
async def test_an_engine_that_loaded_before_is_tried_again(tmp_path: Path) -> None:
    """After three failures the worker counts as failed, and still comes back when it can."""
    fault = tmp_path / "fault"
    states: list[WorkerState] = []
    follow, note = states_noted_by(states)

    def change() -> None:
        note()
        if states[-1] is WorkerState.FAILED:
            fault.unlink(missing_ok=True)

    supervisor = supervisor_of(ScriptedSpec(fault=Act.RAISE, fault_file=str(fault)), change)
    follow(supervisor)
    served = 0

    async def serve(_: Replica) -> None:
        nonlocal served
        served += 1
        if served == 2:
            tasks.cancel_scope.cancel()
            await anyio.sleep_forever()
        fault.touch()
        raise WorkerLostError("died")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(supervisor.run, tasks, serve)

    assert states == [WorkerState.READY, WorkerState.RESTARTING, WorkerState.FAILED, WorkerState.READY]
