"""Whatever callers and workers do, each row is answered once, by its own answer, and no process is left.

The workers are real processes. Where order matters they ask for a cue before they decode
(`ScriptedSpec.cues`), so a test knows what runs and nothing depends on how fast the machine is.
"""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from weakref import WeakKeyDictionary

import anyio
import pytest
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from gateway.engine.api import DecodeOptions, DecodeRequest, Priority, Recognizer, ReplicaOptions
from gateway.engine.batcher import LONELY_DEATHS, Batcher, BatcherOptions
from gateway.engine.row_turns import Share
from gateway.engine.supervisor import WorkerState
from gateway.errors import (
    EngineFailedError,
    LoadFailedError,
    OverloadedError,
    SupersededError,
    UnavailableError,
)
from gateway.metrics import Metrics
from tests.scripted import CAPABILITIES, ROW_SECONDS, Act, ScriptedSpec, act

pytestmark = pytest.mark.slow

METRICS = WeakKeyDictionary[Batcher, Metrics]()
"""Of each batcher that `batcher_of` has made."""

LONG_WAIT = BatcherOptions(idle_wait_seconds=0.2)
"""Rows put while nothing runs share a batch, however slow the machine is."""


def row(number: int, what: Act = Act.SAY, beam_size: int | None = None) -> DecodeRequest:
    """A row for the scripted engine."""
    return DecodeRequest(act(number, what), DecodeOptions(beam_size=beam_size))


async def say(
    recognizer: Recognizer,
    number: int,
    stream: str | None = None,
    priority: Priority = Priority.FILE,
    beam_size: int | None = None,
) -> str:
    """What the engine says to a row."""
    request = row(number, beam_size=beam_size)
    hypothesis = await recognizer.transcribe(request, stream=stream or number, priority=priority)
    return hypothesis.segments[0].text


def is_alive(pid: int | None) -> bool:
    """A process of that id exists, if only as a zombie."""
    try:
        os.kill(pid or 0, 0)
    except ProcessLookupError:
        return False
    return True


@dataclass
class Call:
    """An engine call that waits for its cue."""

    pid: int
    rows: list[int]
    _connection: SocketStream

    async def go(self) -> None:
        """Lets the engine decode."""
        await self._connection.send(b"go\n")


class Cues:
    """The engine calls of all workers, in the order in which they begin."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[Call](100)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._send.close()
        self._receive.close()

    async def next(self) -> Call:
        """Waits for the next call to begin."""
        return await self._receive.receive()

    async def let_all_go(self, rows: list[list[int]]) -> None:
        """Lets calls pass, noting their rows."""
        while True:
            call = await self.next()
            rows.append(call.rows)
            await call.go()

    async def handle(self, connection: SocketStream) -> None:
        """Reads what one worker announces."""
        lines = BufferedByteReceiveStream(connection)
        async with connection:
            while True:
                try:
                    announced = json.loads(await lines.receive_until(b"\n", 10_000))
                except (anyio.IncompleteRead, anyio.BrokenResourceError, OSError):
                    return
                self._send.send_nowait(Call(announced["pid"], announced["rows"], connection))


@asynccontextmanager
async def batcher_of(
    spec: ScriptedSpec,
    options: BatcherOptions | None = None,
    *,
    workers: int = 1,
    shares: Sequence[Share] = (),
    ready: bool = True,
) -> AsyncIterator[Batcher]:
    """A running batcher; behind it no process is left."""
    metrics = Metrics()
    batcher = Batcher(spec, metrics, options, [{}] * max(workers, len(shares)), shares)
    METRICS[batcher] = metrics
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(batcher.run)
        if ready:
            await batcher.wait_ready()
        yield batcher
        pids = [status.pid for status in batcher.state]
        tasks.cancel_scope.cancel()

    assert not any(is_alive(pid) for pid in pids if pid)


@asynccontextmanager
async def cued_batcher_of(
    folder: Path,
    options: BatcherOptions | None = None,
    *,
    max_batch: int = 8,
    lanes: int = 1,
    shares: Sequence[Share] = (),
) -> AsyncIterator[tuple[Batcher, Cues]]:
    """A running batcher whose worker waits for cues."""
    path = folder / "cues"
    with Cues() as cues:
        async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, cues.handle)
            spec = ScriptedSpec(cues=str(path), max_batch=max_batch, lanes=lanes)
            async with batcher_of(spec, options, shares=shares) as batcher:
                yield batcher, cues
            tasks.cancel_scope.cancel()


async def pids_of(batcher: Batcher) -> list[int | None]:
    """Its workers, once all of them serve."""
    await batcher.changed.until(lambda: all(worker.state.serves for worker in batcher.state))
    return [worker.pid for worker in batcher.state]


async def gather(*calls: Callable[[], Awaitable[str]]) -> list[str | Exception]:
    """Runs calls at once; an error stands in the place of its answer."""
    answers: list[str | Exception] = [""] * len(calls)

    async def run(place: int, call: Callable[[], Awaitable[str]]) -> None:
        try:
            answers[place] = await call()
        except Exception as error:  # noqa: BLE001 (the test looks at it)
            answers[place] = error

    async with anyio.create_task_group() as tasks:
        for place, call in enumerate(calls):
            tasks.start_soon(run, place, call)
    return answers


def calls_for(batcher: Batcher, numbers: range, **acts: Act) -> list[Callable[[], Awaitable[str]]]:
    """One call for each number; ``acts`` names those that misbehave, as ``_3=Act.DIE``."""

    async def call(number: int) -> str:
        request = row(number, acts.get(f"_{number}", Act.SAY))
        return (await batcher.transcribe(request, stream=number)).segments[0].text

    return [lambda number=number: call(number) for number in numbers]  # type: ignore[misc]  # mypy: no default in a lambda's type


def sample(batcher: Batcher, name: str, **labels: str) -> float | None:
    """A metric's value, over all its other labels."""
    wanted = {"model": batcher.name, **labels}.items()
    values = [
        each.value
        for family in METRICS[batcher].registry.collect()
        for each in family.samples
        if each.name == name and wanted <= each.labels.items()
    ]
    return sum(values) if values else None


async def test_callers_at_the_same_time_share_batches() -> None:
    """Each gets its own answer, and the counters tell of few calls."""
    async with batcher_of(ScriptedSpec(max_batch=8), LONG_WAIT) as batcher:
        answers = await gather(*calls_for(batcher, range(24)))

        assert answers == [f" {number}" for number in range(24)]
        assert sample(batcher, "gateway_decoded_rows_total") == 24
        assert sample(batcher, "gateway_stage_seconds_total", stage="search") == 24 * ROW_SECONDS
        assert sample(batcher, "gateway_batch_rows_count") == 3
        assert sample(batcher, "gateway_queue_rows") == 0
        assert sample(batcher, "gateway_running_rows") == 0
        assert sample(batcher, "gateway_workers_ready") == 1


async def test_several_workers_share_the_rows_of_many_streams() -> None:
    """No row is lost or doubled, however many rows and workers there are."""
    async with batcher_of(ScriptedSpec(max_batch=3), workers=2) as batcher:
        answers = await gather(*calls_for(batcher, range(200)))
        pids = {status.pid for status in batcher.state}

    assert answers == [f" {number}" for number in range(200)]
    assert len(pids) == 2


async def test_the_state_tells_what_the_worker_does(tmp_path: Path) -> None:
    """Starting, ready, busy, ready."""
    async with cued_batcher_of(tmp_path) as (batcher, cues), anyio.create_task_group() as tasks:
        before = batcher.state[0].state
        tasks.start_soon(say, batcher, 1)
        call = await cues.next()
        during = batcher.state[0]
        await call.go()

    assert Batcher(ScriptedSpec(), Metrics()).state[0].state is WorkerState.STARTING
    assert (before, during.state, during.pid) == (WorkerState.READY, WorkerState.BUSY, call.pid)


async def test_capabilities_are_known_once_loaded() -> None:
    """Before that nobody can tell."""
    batcher = Batcher(ScriptedSpec(), Metrics())
    with pytest.raises(UnavailableError):
        _ = batcher.capabilities
    async with batcher_of(ScriptedSpec()) as loaded:
        assert loaded.capabilities == CAPABILITIES
        assert loaded.name == "scripted"
        assert loaded.ready


async def test_rows_wait_for_the_model() -> None:
    """A caller that comes before the worker is ready is served once it is."""
    async with batcher_of(ScriptedSpec(), ready=False) as batcher:
        assert not batcher.ready
        assert await say(batcher, 1) == " 1"


async def test_a_worker_killed_in_mid_batch_loses_no_row(tmp_path: Path) -> None:
    """The rows it held are decoded again, one by one, by its successor."""
    async with cued_batcher_of(tmp_path, LONG_WAIT) as (batcher, cues), anyio.create_task_group() as tasks:
        answers: list[str | Exception] = []

        async def collect() -> None:
            answers.extend(await gather(*calls_for(batcher, range(4))))
            tasks.cancel_scope.cancel()

        tasks.start_soon(collect)
        first = await cues.next()
        os.kill(first.pid, signal.SIGKILL)
        rows: list[list[int]] = []
        tasks.start_soon(cues.let_all_go, rows)

    assert sorted(first.rows) == [0, 1, 2, 3]
    assert sorted(rows) == [[0], [1], [2], [3]]
    assert answers == [" 0", " 1", " 2", " 3"]
    assert sample(batcher, "gateway_worker_restarts_total") == 1


async def test_a_worker_killed_while_idle_is_replaced_at_once() -> None:
    """Without a row that finds out."""
    async with batcher_of(ScriptedSpec()) as batcher:
        old = batcher.state[0].pid or 0
        os.kill(old, signal.SIGKILL)
        while batcher.ready:
            await batcher.changed.wait()
        reason = batcher.state[0].reason
        await batcher.wait_ready()

        assert reason == "died"
        assert batcher.state[0].pid != old
        assert await say(batcher, 1) == " 1"


async def test_a_row_that_kills_workers_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    """After three lonely deaths; its mates are answered."""
    async with batcher_of(ScriptedSpec(), LONG_WAIT) as batcher:
        answers = await gather(*calls_for(batcher, range(5), _2=Act.DIE))

        assert isinstance(answers.pop(2), EngineFailedError)
        assert answers == [" 0", " 1", " 3", " 4"]
        # One death in company, where it may have been another row's fault.
        assert sample(batcher, "gateway_worker_restarts_total") == 1 + LONELY_DEATHS
        assert "given up" in caplog.text


async def test_a_worker_decodes_a_batch_in_each_lane(tmp_path: Path) -> None:
    """What waits is shared among the lanes that are free; the answers come in any order."""
    async with (
        cued_batcher_of(tmp_path, max_batch=2, lanes=2) as (batcher, cues),
        anyio.create_task_group() as tasks,
    ):
        answers: list[str] = []

        async def collect(number: int) -> None:
            answers.append(await say(batcher, number))
            batcher.changed.notify()

        for number in range(5):
            tasks.start_soon(collect, number)
        calls = [await cues.next() for _ in range(2)]

        assert [call.pid for call in calls] == [batcher.state[0].pid] * 2
        assert sample(batcher, "gateway_running_rows") == sum(len(call.rows) for call in calls)
        await calls[1].go()
        third = await cues.next()
        assert batcher.state[0].state is WorkerState.BUSY
        await batcher.changed.until(lambda: len(answers) == len(calls[1].rows))
        assert answers == [f" {number}" for number in calls[1].rows]
        await calls[0].go()
        await third.go()
        tasks.start_soon(cues.let_all_go, [])
        await batcher.changed.until(lambda: len(answers) == 5)
        tasks.cancel_scope.cancel()

    assert sorted(answers) == [f" {number}" for number in range(5)]


async def test_rows_of_a_dead_worker_are_decoded_alone_whatever_lanes_there_are(tmp_path: Path) -> None:
    """Either of two may be to blame: each has the next worker for itself, and is answered."""
    no_wait = BatcherOptions(idle_wait_seconds=0)
    async with (
        cued_batcher_of(tmp_path, no_wait, max_batch=1, lanes=2) as (batcher, cues),
        anyio.create_task_group() as tasks,
    ):
        answers: list[str | Exception] = []

        async def collect() -> None:
            answers.extend(await gather(*calls_for(batcher, range(2))))

        tasks.start_soon(collect)
        both = [await cues.next() for _ in range(2)]
        os.kill(both[0].pid, signal.SIGKILL)
        alone = await cues.next()
        await batcher.changed.until(lambda: batcher.state[0].state is WorkerState.BUSY)
        running = sample(batcher, "gateway_running_rows"), sample(batcher, "gateway_queue_rows")
        await alone.go()
        await (await cues.next()).go()

    assert running == (1, 1)
    assert answers == [" 0", " 1"]


async def test_a_row_that_kills_workers_takes_no_other_lane_along() -> None:
    """It is found out as with one lane, and all others are answered."""
    async with batcher_of(ScriptedSpec(lanes=3, max_batch=1), LONG_WAIT) as batcher:
        answers = await gather(*calls_for(batcher, range(6), _2=Act.DIE))

        assert isinstance(answers.pop(2), EngineFailedError)
        assert answers == [" 0", " 1", " 3", " 4", " 5"]


async def test_a_hanging_worker_is_replaced_within_the_deadline() -> None:
    """The rows it held are answered by its successor; the row to blame fails alone."""
    deadlines = ReplicaOptions(row_timeout=0.3)
    options = BatcherOptions(idle_wait_seconds=0.2, replica=deadlines)
    async with batcher_of(ScriptedSpec(), options) as batcher:
        answers = await gather(*calls_for(batcher, range(3), _1=Act.HANG))

    assert isinstance(answers[1], EngineFailedError)
    assert (answers[0], answers[2]) == (" 0", " 2")


async def test_an_exception_fails_its_row_alone() -> None:
    """The batch is tried again row by row, in the same worker; a row that fails by itself fails at once."""
    async with batcher_of(ScriptedSpec(), LONG_WAIT) as batcher:
        answers = await gather(*calls_for(batcher, range(5), _1=Act.RAISE, _3=Act.FAIL_ROW))

        assert [type(answer) for answer in answers] == [str, EngineFailedError, str, EngineFailedError, str]
        assert sample(batcher, "gateway_worker_restarts_total") == 0


async def test_a_batch_too_big_for_the_memory_is_halved() -> None:
    """Eight rows, memory for three: two calls of four fail, four of two do."""
    async with batcher_of(ScriptedSpec(oom_over=3), LONG_WAIT) as batcher:
        answers = await gather(*calls_for(batcher, range(8)))

        assert answers == [f" {number}" for number in range(8)]
        assert sample(batcher, "gateway_batch_rows_count") == 1 + 2 + 4


async def test_too_few_answers_are_never_given_to_the_wrong_rows() -> None:
    """An engine that drops a row fails all of them rather than mixing them up."""
    async with batcher_of(ScriptedSpec(too_few=True), LONG_WAIT) as batcher:
        answers = await gather(*calls_for(batcher, range(2)))

    assert [type(answer) for answer in answers] == [EngineFailedError, EngineFailedError]


async def test_a_caller_that_leaves_touches_no_other(tmp_path: Path) -> None:
    """Whether its row waits, which frees its place, or runs, whose result is ignored."""
    async with cued_batcher_of(tmp_path, LONG_WAIT) as (batcher, cues), anyio.create_task_group() as tasks:
        answers: list[str] = []

        async def collect(number: int, scope: anyio.CancelScope) -> None:
            with scope:
                answers.append(await say(batcher, number))

        scopes = [anyio.CancelScope() for _ in range(6)]
        for number in (0, 1, 2):
            tasks.start_soon(collect, number, scopes[number])
        running = await cues.next()
        for number in (3, 4, 5):
            tasks.start_soon(collect, number, scopes[number])
        await anyio.wait_all_tasks_blocked()
        scopes[1].cancel()
        scopes[4].cancel()
        await anyio.wait_all_tasks_blocked()
        waiting = sample(batcher, "gateway_queue_rows", **{"class": "file"})
        under_way = sample(batcher, "gateway_batch_oldest_seconds")
        await running.go()
        following = await cues.next()
        await following.go()

    assert (running.rows, waiting, following.rows) == ([0, 1, 2], 2, [3, 5])
    assert sorted(answers) == [" 0", " 2", " 3", " 5"]
    assert sample(batcher, "gateway_cancelled_rows_total") == 2
    assert under_way
    assert sample(batcher, "gateway_queue_rows", **{"class": "live_final"}) == 0
    assert sample(batcher, "gateway_queue_seconds_count", **{"class": "file"}) == 5


async def test_a_row_whose_caller_left_is_not_tried_again(tmp_path: Path) -> None:
    """The worker that held it died; only the others' rows go to the next one."""
    async with cued_batcher_of(tmp_path, LONG_WAIT) as (batcher, cues), anyio.create_task_group() as tasks:
        tasks.start_soon(say, batcher, 0)
        scope = anyio.CancelScope()

        async def leave() -> None:
            with scope:
                await say(batcher, 1)

        tasks.start_soon(leave)
        first = await cues.next()
        scope.cancel()
        await anyio.wait_all_tasks_blocked()
        os.kill(first.pid, signal.SIGKILL)
        second = await cues.next()
        await second.go()

    assert (first.rows, second.rows) == ([0, 1], [0])


async def test_a_clip_beside_eight_long_streams_waits_for_one_batch_only(tmp_path: Path) -> None:
    """The one that runs when it comes in; it is in the next."""
    async with cued_batcher_of(tmp_path, max_batch=4) as (batcher, cues), anyio.create_task_group() as tasks:
        for number in range(80):
            tasks.start_soon(say, batcher, number, f"long {number % 8}")
        for _ in range(5):
            await (await cues.next()).go()
        running = await cues.next()
        tasks.start_soon(say, batcher, 1000)
        await anyio.wait_all_tasks_blocked()
        await running.go()
        following = await cues.next()
        tasks.cancel_scope.cancel()

    assert 1000 in following.rows


async def test_a_newer_partial_replaces_one_that_waits(tmp_path: Path) -> None:
    """Its caller is told; a final of the same stream is left alone."""
    async with cued_batcher_of(tmp_path) as (batcher, cues), anyio.create_task_group() as tasks:
        told: list[int] = []

        async def partial(number: int) -> None:
            try:
                await say(batcher, number, "live", Priority.LIVE_PARTIAL)
            except SupersededError:
                told.append(number)

        tasks.start_soon(say, batcher, 0)
        running = await cues.next()
        tasks.start_soon(say, batcher, 1, "live", Priority.LIVE_FINAL)
        for number in (2, 3, 4):
            tasks.start_soon(partial, number)
            await anyio.wait_all_tasks_blocked()
        await running.go()
        following = await cues.next()
        await following.go()

    assert (told, following.rows) == ([2, 3], [1, 4])


async def test_a_partial_lost_with_its_worker_gives_way_to_a_newer_one(tmp_path: Path) -> None:
    """It is not decoded again; its caller is told."""
    async with cued_batcher_of(tmp_path) as (batcher, cues), anyio.create_task_group() as tasks:
        told = anyio.Event()

        async def older() -> None:
            with pytest.raises(SupersededError):
                await say(batcher, 1, "live", Priority.LIVE_PARTIAL)
            told.set()

        tasks.start_soon(older)
        running = await cues.next()
        tasks.start_soon(say, batcher, 2, "live", Priority.LIVE_PARTIAL)
        await anyio.wait_all_tasks_blocked()
        os.kill(running.pid, signal.SIGKILL)
        following = await cues.next()
        await told.wait()
        await following.go()

    assert (running.rows, following.rows) == ([1], [2])


async def test_an_express_worker_has_what_somebody_waits_for(tmp_path: Path) -> None:
    """The other one has the rest, and neither waits for the other; of one that is lost, it takes all."""
    async with (
        cued_batcher_of(tmp_path, LONG_WAIT, max_batch=1, shares=(Share.WAITED_FOR, Share.REST)) as served,
        anyio.create_task_group() as tasks,
    ):
        batcher, cues = served
        express, other = await pids_of(batcher)
        tasks.start_soon(say, batcher, 1, "long")
        first = await cues.next()
        tasks.start_soon(say, batcher, 2, "long")
        second = await cues.next()
        tasks.start_soon(say, batcher, 3, "long")
        assert (first.pid, second.pid) == (express, other)
        await first.go()
        tasks.start_soon(say, batcher, 4, "clip")
        clip = await cues.next()
        assert (clip.pid, clip.rows) == (express, [4])
        await clip.go()

        await anyio.wait_all_tasks_blocked()  # the third waits for the second, which is lost
        os.kill(second.pid, signal.SIGKILL)
        rows: list[list[int]] = []
        tasks.start_soon(cues.let_all_go, rows)
        await batcher.changed.until(lambda: sorted(rows) == [[2], [3]])
        await batcher.changed.until(lambda: not sample(batcher, "gateway_queue_rows"))
        assert await say(batcher, 5, "other clip") == " 5"
        tasks.cancel_scope.cancel()


async def test_the_last_row_has_the_express_worker(tmp_path: Path) -> None:
    """Which has all cores for it; while the one before it runs, it is the other's."""
    async with (
        cued_batcher_of(tmp_path, LONG_WAIT, max_batch=1, shares=(Share.WAITED_FOR, Share.REST)) as served,
        anyio.create_task_group() as tasks,
    ):
        batcher, cues = served
        express, other = await pids_of(batcher)
        tasks.start_soon(say, batcher, 1, "long")
        first = await cues.next()
        tasks.start_soon(say, batcher, 2, "long")
        second = await cues.next()
        await first.go()
        await second.go()
        await batcher.changed.until(lambda: not sample(batcher, "gateway_running_rows"))
        tasks.start_soon(say, batcher, 3, "long")
        last = await cues.next()
        tasks.cancel_scope.cancel()

    assert [call.pid for call in (first, second, last)] == [express, other, express]


async def test_rows_of_different_keys_do_not_share_a_batch() -> None:
    """Though they came together, they go in two calls."""
    async with batcher_of(ScriptedSpec(), LONG_WAIT) as batcher, anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(say, batcher, number, None, Priority.FILE, 1 + number % 2)

    assert sample(batcher, "gateway_batch_rows_count") == 2


async def test_a_full_queue_refuses(tmp_path: Path) -> None:
    """And serves on those it has."""
    options = BatcherOptions(max_rows=2)
    async with cued_batcher_of(tmp_path, options) as (batcher, cues), anyio.create_task_group() as tasks:
        tasks.start_soon(say, batcher, 0)
        running = await cues.next()
        tasks.start_soon(say, batcher, 1)
        tasks.start_soon(say, batcher, 2)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(OverloadedError) as refused:
            await say(batcher, 3)
        await running.go()
        following = await cues.next()
        await following.go()

    assert (refused.value.retry_after or 0) >= 1
    assert following.rows == [1, 2]


async def test_a_load_that_fails_is_told_to_all() -> None:
    """Those who wait for the model learn the reason, clients that there is no service."""
    async with batcher_of(ScriptedSpec(fault=Act.RAISE), ready=False) as batcher:
        with pytest.raises(UnavailableError) as waiting:
            await say(batcher, 1)
        with pytest.raises(LoadFailedError, match="the row asked for it"):
            await batcher.wait_ready()
        with pytest.raises(UnavailableError):
            await say(batcher, 2)

        assert "asked" not in waiting.value.message
        assert batcher.state[0].state is WorkerState.FAILED
        assert batcher.state[0].reason == "load failed: ValueError"


async def test_workers_that_no_longer_start_are_tried_until_they_do(tmp_path: Path) -> None:
    """Meanwhile rows are refused instead of waiting for ever."""
    fault = tmp_path / "fault"
    spec = ScriptedSpec(fault=Act.DIE, fault_file=str(fault))
    async with batcher_of(spec, BatcherOptions(restart_seconds=0.01)) as batcher:
        fault.touch()
        with pytest.raises(UnavailableError):
            await batcher.transcribe(row(1, Act.DIE), stream=1)
        with pytest.raises(UnavailableError):
            await batcher.wait_ready()
        refusing = batcher.state[0].state
        fault.unlink()
        while not batcher.ready:
            await batcher.changed.wait()

        assert refusing is WorkerState.FAILED
        assert await say(batcher, 2) == " 2"


async def test_the_end_in_mid_batch_answers_everybody_and_leaves_no_process(tmp_path: Path) -> None:
    """Rows that run and rows that wait are refused, and so are those that come later."""
    answers: list[str | Exception] = []
    no_wait = BatcherOptions(idle_wait_seconds=0)

    async def collect(batcher: Batcher) -> None:
        answers.extend(await gather(*calls_for(batcher, range(3))))

    async with (
        anyio.create_task_group() as callers,
        cued_batcher_of(tmp_path, no_wait, max_batch=1) as (batcher, cues),
    ):
        callers.start_soon(collect, batcher)
        call = await cues.next()

    assert [type(answer) for answer in answers] == [UnavailableError] * 3
    assert not is_alive(call.pid)
    assert not batcher.ready
    with pytest.raises(UnavailableError):
        await say(batcher, 4)
    with pytest.raises(UnavailableError):
        await batcher.wait_ready()


PARENT = """
import anyio
from gateway.engine.batcher import Batcher
from tests.scripted import Act, ScriptedSpec, act
from gateway.engine.api import DecodeOptions, DecodeRequest
from gateway.metrics import Metrics

async def main():
    batcher = Batcher(ScriptedSpec(), Metrics())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(batcher.run)
        await batcher.wait_ready()
        row = DecodeRequest(act(1, Act.HANG), DecodeOptions())
        tasks.start_soon(lambda: batcher.transcribe(row, stream=1))
        while batcher.state[0].state != "busy":
            await batcher.changed.wait()
        print(batcher.state[0].pid, flush=True)

anyio.run(main)
"""


def test_a_killed_parent_takes_its_worker_along() -> None:
    """In mid-batch, without a chance to clean up."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        ended = os.pidfd_open(pid)
        parent.kill()
        readable, _, _ = select.select([ended], [], [], 10)
        os.close(ended)

    assert readable == [ended]
