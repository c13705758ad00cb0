"""Replicas on a real cluster of several nodes: whatever happens to them, each row is answered once."""

import os
import signal
from collections.abc import Iterator

import anyio
import pytest
from anyio.abc import TaskGroup

from gateway.engine.batcher import Batcher
from gateway.engine.ray import actors
from gateway.errors import EngineFailedError, LoadFailedError
from tests.ray_cluster import (
    NO_RAY,
    RayNodes,
    edge_of,
    end_replicas,
    fresh_name,
    ray_nodes,
    say,
    serving,
    shared_spec,
)
from tests.scripted import CAPABILITIES, Act, ScriptedSpec

pytestmark = [
    NO_RAY,
    pytest.mark.ray,
    pytest.mark.slow,
    # A node takes five seconds to start, a process two; many times that on a busy machine.
    pytest.mark.timeout(600),
    # Ray's own: sockets and processes that it leaves to the collector.
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
    ),
]


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayNodes]:
    """A head and two nodes."""
    with ray_nodes(2) as started:
        yield started


@pytest.fixture
def model(nodes: RayNodes) -> Iterator[str]:
    """A model's name; its replicas end with the test."""
    name = fresh_name()
    yield name
    end_replicas(name)


def speak(tasks: TaskGroup, batcher: Batcher, numbers: range, answers: dict[int, str]) -> None:
    """A row for each number, all at once."""

    async def one(number: int) -> None:
        answers[number] = await say(batcher, number)

    for number in numbers:
        tasks.start_soon(one, number)


def expected(numbers: range) -> dict[int, str]:
    """Each row's own answer."""
    return {number: f" {number}" for number in numbers}


@pytest.mark.parametrize("replicas", [1, 2, 4])
async def test_replicas_share_the_rows(model: str, replicas: int) -> None:
    """However many there are, and whichever node they are on."""
    spec = shared_spec(ScriptedSpec(model, max_batch=3), least=replicas, most=replicas)
    async with edge_of(spec, ready=replicas) as batcher:
        answers: dict[int, str] = {}
        async with anyio.create_task_group() as tasks:
            speak(tasks, batcher, range(60), answers)

        assert batcher.capabilities == CAPABILITIES
        assert serving(batcher) == replicas
    assert answers == expected(range(60))


async def test_a_lost_node_loses_no_row(nodes: RayNodes, model: str) -> None:
    """What was on it is decoded elsewhere within ten seconds; Ray starts its replica again on the next."""
    spec = shared_spec(ScriptedSpec(model, max_batch=2, row_seconds=0.2), least=2, most=2, cpus=1.0)
    async with edge_of(spec, ready=2) as batcher:
        answers: dict[int, str] = {}
        async with anyio.create_task_group() as tasks:
            speak(tasks, batcher, range(20), answers)
            await batcher.changed.until(lambda: len(answers) >= 4)
            began = anyio.current_time()
            await anyio.to_thread.run_sync(nodes.kill)
        took = anyio.current_time() - began
        alone = serving(batcher)
        await anyio.to_thread.run_sync(nodes.add)
        await batcher.changed.until(lambda: serving(batcher) == 2)

    assert answers == expected(range(20))
    assert alone == 1
    assert took < 10


async def test_a_replica_that_falls_silent_is_left(model: str) -> None:
    """Its process is stopped, so no connection breaks: what it held is decoded elsewhere in our own time."""
    spec = shared_spec(ScriptedSpec(model, max_batch=1, row_seconds=0.1), least=2, most=2)
    async with edge_of(spec, ready=2) as batcher:
        pid = await _pid_of_one(model)
        answers: dict[int, str] = {}
        try:
            async with anyio.create_task_group() as tasks:
                speak(tasks, batcher, range(10), answers)
                await batcher.changed.until(lambda: len(answers) >= 2)
                os.kill(pid, signal.SIGSTOP)
        finally:
            os.kill(pid, signal.SIGCONT)
        await batcher.changed.until(lambda: serving(batcher) == 2)

    assert answers == expected(range(10))


async def test_a_crash_is_followed_by_a_restart(model: str) -> None:
    """A row that ends its replica fails alone, after its mates and another gateway's rows are answered."""
    engine = ScriptedSpec(model, row_seconds=0.05)
    one, other = (shared_spec(engine, least=1, most=1) for _ in range(2))
    async with edge_of(one, slots=1) as first, edge_of(other, slots=1) as second:
        answers: dict[int, str] = {}
        failed: list[bool] = []

        async def die() -> None:
            with pytest.raises(EngineFailedError):
                await say(first, 1000, Act.DIE)
            failed.append(True)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(die)
            speak(tasks, first, range(10), answers)
            speak(tasks, second, range(10, 20), answers)

    assert failed == [True]
    assert answers == expected(range(20))


async def test_gateways_share_replicas(model: str) -> None:
    """Each has a queue of its own; what they send at once shares engine calls, and each sees the load."""
    engine = ScriptedSpec(model, row_seconds=0.1)
    one, other = (shared_spec(engine, least=1, most=1) for _ in range(2))
    async with edge_of(one) as first, edge_of(other) as second:
        answers: dict[int, str] = {}
        loads: list[int] = []

        async def look(tasks: TaskGroup) -> None:
            while len(answers) < 40:
                loads.extend(lanes.load - lanes.rows for lanes in first._lanes)
                await first.changed.wait()
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look, tasks)
            async with anyio.create_task_group() as speakers:
                speak(speakers, first, range(20), answers)
                speak(speakers, second, range(20, 40), answers)
            first.changed.notify()
        names = [name for name, _ in actors.find_replicas(model, "gateway")]

    assert answers == expected(range(40))
    assert len(names) == 1
    assert max(loads) > 0


async def test_an_engine_that_cannot_be_loaded_is_told(model: str) -> None:
    """In the words of the node that tried it."""
    spec = shared_spec(ScriptedSpec(model, fault=Act.RAISE))
    async with edge_of(spec, slots=2, ready=1) as batcher:
        with pytest.raises(LoadFailedError, match="the row asked for it"):
            await batcher.wait_ready()


async def test_replicas_become_more_and_fewer(model: str) -> None:
    """While rows wait there are more of them, up to the most; when none come they go, but for the least."""
    spec = shared_spec(
        ScriptedSpec(model, max_batch=1, row_seconds=0.2), least=1, most=3, up_seconds=1.0, down_seconds=4.0
    )
    async with edge_of(spec) as batcher:
        answers: dict[int, str] = {}
        seen = [serving(batcher)]

        async def chat(number: int) -> None:
            while seen[-1] < 3:
                answers[number] = await say(batcher, number)
                number += 10

        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(chat, number)
            await batcher.changed.until(lambda: serving(batcher) == 3)
            seen.append(3)
        rests = [status.state.rests for status in batcher.state]
        await batcher.changed.until(lambda: serving(batcher) == 1)
        await say(batcher, 1000)
        restarts = batcher._metrics._metrics.registry.get_sample_value(
            "gateway_worker_restarts_total", {"model": model, "reason": "died"}
        )

    assert seen == [1, 3]
    assert rests.count(True) == 1
    assert restarts == 0
    assert answers == {number: f" {number}" for number in answers}


async def test_a_new_revision_replaces_the_replicas_one_by_one(model: str) -> None:
    """Rows go on all the while, of the gateway that has the old settings, too."""
    old = ScriptedSpec(model, row_seconds=0.05)
    new = ScriptedSpec(model, row_seconds=0.06)
    first_spec = shared_spec(old, least=2, most=2)
    second_spec = shared_spec(new, least=2, most=2)
    second_spec.revision = 1
    answers: dict[int, str] = {}
    least: list[int] = []
    async with edge_of(first_spec, ready=2) as first, anyio.create_task_group() as tasks:

        async def chat(number: int) -> None:
            while not tasks.cancel_scope.cancel_called:
                answers[number] = await say(first, number)
                least.append(serving(first))
                number += 10

        for number in range(3):
            tasks.start_soon(chat, number)
        async with edge_of(second_spec, ready=2) as second:
            pool = second_spec._pool
            assert pool is not None
            await second.changed.until(lambda: [each.revision for each in pool._roster.members] == [1, 1])
            done = len(answers)
            await first.changed.until(lambda: len(answers) > done + 5)
            await say(second, 1000)
        tasks.cancel_scope.cancel()

    assert answers == {number: f" {number}" for number in answers}
    assert min(least) >= 1


async def _pid_of_one(model: str) -> int:
    """Of a replica's process."""
    [name, *_] = [name for name, _ in actors.find_replicas(model, "gateway")]
    handle = actors.find(name, "gateway")
    assert handle is not None
    return int(await handle.process_id.remote())
