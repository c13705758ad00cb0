"""Models share a budget: the least recently used idle one goes, and nobody who is at work."""

from collections.abc import Callable

import anyio
import pytest

from gateway.engine.budget import MemoryBudget
from gateway.errors import LoadFailedError


class FakeModel:
    """A model that unloads when it is asked to and idle."""

    def __init__(
        self, name: str, last_used: float = 0.0, *, is_idle: bool = True, is_pinned: bool = False
    ) -> None:
        self.name = name
        self.last_used = last_used
        self.is_idle = is_idle
        self.is_pinned = is_pinned
        self.evicted = anyio.Event()

    def evict(self) -> None:
        """As `Evictable`."""
        self.evicted.set()


async def _hold(budget: MemoryBudget, model: FakeModel, size: int, reserved: Callable[[str], None]) -> None:
    async with budget.reserve(model, size):
        reserved(model.name)
        await model.evicted.wait()


async def test_the_least_recently_used_goes() -> None:
    """Room is made by the one that was idle for longest."""
    budget = MemoryBudget(100)
    order: list[str] = []
    old, young, new = FakeModel("old", 1.0), FakeModel("young", 2.0), FakeModel("new", 3.0)
    async with anyio.create_task_group() as tasks:
        for model in (young, old):
            tasks.start_soon(_hold, budget, model, 50, order.append)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(_hold, budget, new, 50, order.append)
        await anyio.wait_all_tasks_blocked()

        assert old.evicted.is_set()
        assert not young.evicted.is_set()
        assert order[-1] == "new"
        assert budget.reserved_bytes == 100
        tasks.cancel_scope.cancel()


async def test_who_works_is_waited_for() -> None:
    """A model in use is not unloaded; the newcomer waits until it is idle."""
    budget = MemoryBudget(100)
    order: list[str] = []
    busy, new = FakeModel("busy", is_idle=False), FakeModel("new")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_hold, budget, busy, 80, order.append)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(_hold, budget, new, 80, order.append)
        await anyio.wait_all_tasks_blocked()
        assert order == ["busy"]
        busy.is_idle = True
        budget.changed.notify()
        await anyio.wait_all_tasks_blocked()

        assert order == ["busy", "new"]
        tasks.cancel_scope.cancel()


async def test_no_room_beside_the_pinned() -> None:
    """What can never fit is refused at once, and whoever fits is let in after it."""
    budget = MemoryBudget(100)
    order: list[str] = []
    async with anyio.create_task_group() as tasks:
        pinned = FakeModel("pinned", is_idle=False, is_pinned=True)
        tasks.start_soon(_hold, budget, pinned, 80, order.append)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(LoadFailedError, match="the pinned models take 80"):
            await _hold(budget, FakeModel("large"), 30, order.append)
        tasks.start_soon(_hold, budget, FakeModel("small"), 20, order.append)
        await anyio.wait_all_tasks_blocked()

        assert order == ["pinned", "small"]
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(("memory_budget", "sizes"), [(0, [500, 500]), (100, [500])])
async def test_what_always_fits(memory_budget: int, sizes: list[int]) -> None:
    """Without a budget everything does; one model alone does, however large."""
    budget = MemoryBudget(memory_budget)
    order: list[str] = []
    async with anyio.create_task_group() as tasks:
        for number, size in enumerate(sizes):
            tasks.start_soon(_hold, budget, FakeModel(str(number)), size, order.append)
        await anyio.wait_all_tasks_blocked()

        assert len(order) == len(sizes)
        tasks.cancel_scope.cancel()

    assert budget.reserved_bytes == 0
