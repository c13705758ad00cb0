"""Task groups, change notifications, and calls that nobody waits for."""

import subprocess
import sys

import anyio
import pytest

from gateway.aio import Changed, open_task_group, run_abandonable
from gateway.errors import ClientGoneError, OverloadedError, UnavailableError

LEAVES = """
import threading
import anyio
import anyio.to_thread
from gateway.aio import run_abandonable

async def main():
    begun = threading.Event()
    def fetch():
        begun.set()
        threading.Event().wait()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_abandonable, fetch)
        await anyio.to_thread.run_sync(begun.wait)
        tasks.cancel_scope.cancel()
    print("left")

anyio.run(main)
"""


class _EndError(BaseException):
    """Of the process, as KeyboardInterrupt is, which asyncio itself would raise."""


async def _fail(error: BaseException) -> None:
    raise error


async def test_one_failure_is_itself() -> None:
    """Also through groups in groups."""
    with pytest.raises(KeyError):
        async with open_task_group() as outer, open_task_group() as inner:
            inner.start_soon(_fail, KeyError("a"))
            del outer


async def test_a_failing_body_is_itself() -> None:
    """What the body raises comes out as it is."""
    with pytest.raises(KeyError):
        async with open_task_group():
            raise KeyError("a")


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([ClientGoneError, ClientGoneError], ClientGoneError),
        ([OverloadedError, ClientGoneError], ClientGoneError),
        ([ClientGoneError, OverloadedError, KeyError], KeyError),
        ([OverloadedError, UnavailableError], OverloadedError),
        ([KeyError, _EndError], _EndError),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
async def test_several_failures_are_the_one_that_counts(
    kinds: list[type[BaseException]], expected: type[BaseException], *, nested: bool
) -> None:
    """What ends the process, what nobody foresaw, that the client left, the first; others are noted."""
    errors = [kind(str(number)) for number, kind in enumerate(kinds)]
    with pytest.raises(expected) as caught:
        async with open_task_group() as outer, open_task_group() as inner:
            for error in errors:
                (inner if nested else outer).start_soon(_fail, error)
            await anyio.sleep_forever()

    others = [f"At the same time: {error!r}" for error in errors if error is not caught.value]
    assert sorted(caught.value.__notes__) == sorted(others)


async def test_everyone_who_waits_is_woken() -> None:
    """Two waiters see one notification, and a third that comes later does not."""
    changed = Changed()
    woken = []

    async def wait(name: str) -> None:
        await changed.wait()
        woken.append(name)

    async with open_task_group() as tasks:
        tasks.start_soon(wait, "a")
        tasks.start_soon(wait, "b")
        await anyio.wait_all_tasks_blocked()
        changed.notify()
        tasks.start_soon(wait, "c")
        await anyio.wait_all_tasks_blocked()
        assert sorted(woken) == ["a", "b"]
        changed.notify()

    assert sorted(woken) == ["a", "b", "c"]


async def test_until_looks_again_after_each_notification() -> None:
    """It returns at once where the condition holds, else after the notification that makes it hold."""
    changed = Changed()
    numbers: list[int] = []

    async with open_task_group() as tasks:
        tasks.start_soon(changed.until, lambda: len(numbers) == 2)
        for number in range(2):
            await anyio.wait_all_tasks_blocked()
            numbers.append(number)
            changed.notify()

    await changed.until(lambda: numbers)


def _raise() -> None:
    raise KeyError("a")


async def test_the_outcome_comes_back() -> None:
    """What the call returns, and what it raises."""
    with pytest.raises(KeyError):
        await run_abandonable(_raise)

    assert await run_abandonable(lambda: 7) == 7


def test_the_process_ends_without_it() -> None:
    """A call that never returns holds up nothing once it was cancelled."""
    done = subprocess.run(
        [sys.executable, "-c", LEAVES], capture_output=True, text=True, timeout=120, check=True
    )

    assert done.stdout == "left\n"
