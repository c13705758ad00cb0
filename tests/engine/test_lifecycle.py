"""A model is there when it is wanted, gone when it is not, and tells the truth about it."""

import errno
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import anyio
import anyio.from_thread
import anyio.lowlevel
import pytest

from gateway.aio import Changed
from gateway.engine.api import DecodeOptions, DecodeRequest, EngineSpec
from gateway.engine.batcher import Batcher
from gateway.engine.budget import MemoryBudget
from gateway.engine.lifecycle import ManagedModel, ModelPlan, ModelPolicy, ModelState
from gateway.errors import ModelUnavailableError, UnavailableError
from gateway.metrics import Metrics
from tests.scripted import Act, ScriptedSpec, act


@dataclass
class Bench:
    """Makes models in one memory budget, and remembers what failed."""

    budget: MemoryBudget = field(default_factory=MemoryBudget)
    failures: list[str] = field(default_factory=list)

    def model(
        self,
        name: str = "m",
        find: Callable[[], EngineSpec] | None = None,
        *,
        pinned: bool = False,
        idle_seconds: float = 0.0,
        load_wait: float = 20.0,
        spec: ScriptedSpec | None = None,
        progress: Callable[[], str | None] = lambda: None,
        workers: int = 1,
    ) -> ManagedModel:
        """A model on scripted workers."""
        return ManagedModel(
            ModelPlan(
                name,
                find or (lambda: spec or ScriptedSpec(name=name)),
                ModelPolicy(pinned=pinned, idle_seconds=idle_seconds, load_wait=load_wait),
                progress,
            ),
            lambda found: Batcher(found, Metrics(), environments=[{}] * workers),
            self.budget,
            on_failure=self.failures.append,
        )


async def _say(model: ManagedModel) -> str:
    async with model.lease() as recognizer:
        hypothesis = await recognizer.transcribe(
            DecodeRequest(act(7, Act.SAY), DecodeOptions()), stream="test"
        )
    return "".join(segment.text for segment in hypothesis.segments).strip()


async def _until(model: ManagedModel, state: ModelState) -> None:
    with anyio.fail_after(120):
        await model._changed.until(lambda: model.status.state is state)


async def test_loaded_on_first_use() -> None:
    """Nothing is started before the first request, and ready means that it could be."""
    model = Bench().model()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(model.run)
        await anyio.wait_all_tasks_blocked()
        before = (model.status.state, model.ready)
        assert "7" in await _say(model)

        assert before == (ModelState.UNLOADED, True)
        assert model.status.state is ModelState.READY
        tasks.cancel_scope.cancel()


async def test_pinned_models_are_loaded_from_the_start() -> None:
    """They are not ready until they are."""
    model = Bench().model(pinned=True)
    async with anyio.create_task_group() as tasks:
        assert not model.ready
        tasks.start_soon(model.run)
        await _until(model, ModelState.READY)

        assert model.ready
        tasks.cancel_scope.cancel()


async def test_unloaded_when_idle_and_loaded_again() -> None:
    """After the last request a model stays for its idle time, then goes, and comes back when wanted."""
    model = Bench().model(idle_seconds=0.05)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(model.run)
        await _say(model)
        await _until(model, ModelState.UNLOADED)

        assert "7" in await _say(model)
        tasks.cancel_scope.cancel()


async def test_never_unloaded_in_use() -> None:
    """A lease keeps it, however long it lasts."""
    model = Bench().model(idle_seconds=0.01)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(model.run)
        async with model.lease() as recognizer:
            for _ in range(3):
                await recognizer.transcribe(DecodeRequest(act(1, Act.SAY), DecodeOptions()), stream="test")
            model.evict()
            await anyio.wait_all_tasks_blocked()
            assert model.status.state is ModelState.READY
        await _until(model, ModelState.UNLOADED)
        tasks.cancel_scope.cancel()


async def test_the_budget_evicts_the_least_recently_used() -> None:
    """Three models, room for two: using the third unloads the one that was used longest ago."""
    bench = Bench(MemoryBudget(120_000_000))
    models = [bench.model(name) for name in "abc"]
    async with anyio.create_task_group() as tasks:
        for model in models:
            tasks.start_soon(model.run)
        for model in models:
            await _say(model)
        await _until(models[0], ModelState.UNLOADED)

        assert [model.status.state for model in models[1:]] == [ModelState.READY, ModelState.READY]
        tasks.cancel_scope.cancel()


async def test_each_worker_counts() -> None:
    """Where three of one size would fit, one of two workers leaves room for one."""
    bench = Bench(MemoryBudget(150_000_000))
    models = [bench.model("a", workers=2), bench.model("b"), bench.model("c")]
    async with anyio.create_task_group() as tasks:
        for model in models:
            tasks.start_soon(model.run)
        await _say(models[0])
        assert bench.budget.reserved_bytes == 100_000_000
        await _say(models[1])
        await _say(models[2])
        await _until(models[0], ModelState.UNLOADED)

        assert bench.budget.reserved_bytes == 100_000_000
        tasks.cancel_scope.cancel()


async def test_downloads_tell_their_progress() -> None:
    """While a model is fetched its status says how far it is, and requests are told to come back."""
    told, go_on = anyio.Event(), anyio.Event()

    token = anyio.lowlevel.current_token()

    def find() -> EngineSpec:
        anyio.from_thread.run_sync(told.set, token=token)
        anyio.from_thread.run(go_on.wait, token=token)
        return ScriptedSpec()

    model = Bench().model(find=find, progress=lambda: "12 MB", pinned=True, load_wait=0.01)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(model.run)
        await told.wait()
        assert (model.status.state, model.status.detail) == (ModelState.FETCHING, "12 MB")
        with pytest.raises(UnavailableError) as caught:
            await _say(model)
        go_on.set()
        await _until(model, ModelState.READY)

        assert caught.value.retry_after
        assert str(caught.value) == "The model 'm' is not loaded yet (12 MB)."
        tasks.cancel_scope.cancel()


def _not_there() -> EngineSpec:
    raise ModelUnavailableError("nowhere: /secret")


@pytest.mark.parametrize("pinned", [True, False])
@pytest.mark.parametrize("cause", ["not found", "not loaded"])
async def test_failures_are_told(cause: str, *, pinned: bool) -> None:
    """The whole truth goes to who started a pinned model, a word of it to health, and requests get a 503."""
    bench = Bench()
    if cause == "not found":
        model = bench.model(find=_not_there, pinned=pinned)
    else:
        model = bench.model(spec=ScriptedSpec(fault=Act.RAISE), pinned=pinned)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(model.run)
        with pytest.raises(UnavailableError):
            await _say(model)
        await _until(model, ModelState.FAILED)

        assert not model.ready
        assert model.status.detail
        assert "secret" not in model.status.detail
        assert bool(bench.failures) is pinned
        tasks.cancel_scope.cancel()


async def test_an_unforeseen_failure_is_its_own() -> None:
    """Whatever is raised on the way (here the disk is full) fails one model, and the others serve on."""

    def find() -> EngineSpec:
        raise OSError(errno.ENOSPC, "no space at /secret")

    bench = Bench()
    broken, sound = bench.model("broken", find=find), bench.model("sound")
    async with anyio.create_task_group() as tasks:
        for model in (broken, sound):
            tasks.start_soon(model.run)
        with pytest.raises(UnavailableError):
            await _say(broken)

        assert "7" in await _say(sound)
        assert broken.status.state is ModelState.FAILED
        assert "secret" not in str(broken.status.detail)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(lambda _: True, id="asked to go"),
        pytest.param(lambda model: model._leaving, id="its workers are stopped"),
        pytest.param(lambda model: model._batcher is None, id="gone"),
    ],
)
async def test_a_request_while_it_is_unloaded(moment: Callable[[ManagedModel], bool]) -> None:
    """It waits for the next loading, whenever it comes: the workers that end are not asked any more."""
    model = Bench().model()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(model.run)
        await _say(model)
        model.evict()
        await model._budget.changed.until(lambda: moment(model))

        assert "7" in await _say(model)
        tasks.cancel_scope.cancel()


async def test_a_request_while_a_lost_worker_is_replaced() -> None:
    """It is served as soon as the new worker is ready, not only when its patience ends."""
    started: list[Batcher] = []
    spec = ScriptedSpec()

    def start(found: EngineSpec) -> Batcher:
        started.append(Batcher(found, Metrics()))
        return started[-1]

    plan = ModelPlan("m", lambda: spec, ModelPolicy(load_wait=1_000.0))
    model = ManagedModel(plan, start, MemoryBudget())
    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(model.run)
            await _say(model)
            os.kill(cast("int", started[0].state[0].pid), signal.SIGKILL)
            await started[0].changed.until(lambda: not started[0].ready)

            assert "7" in await _say(model)
            tasks.cancel_scope.cancel()


async def test_asked_to_go_once() -> None:
    """Who waits for room sleeps while an idle model goes; it does not ask again and again."""
    asked = 0

    class Counted(Changed):
        def notify(self) -> None:
            nonlocal asked
            asked += 1
            super().notify()

    bench = Bench(MemoryBudget(60_000_000))
    bench.budget.changed = Counted()
    old, new = bench.model("old"), bench.model("new")
    async with anyio.create_task_group() as tasks:
        for model in (old, new):
            tasks.start_soon(model.run)
        await _say(old)
        await _say(new)

        assert asked < 40
        tasks.cancel_scope.cancel()
