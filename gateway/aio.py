"""The few pieces of structured concurrency that AnyIO leaves to its users."""

import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel
from anyio.abc import TaskGroup

_Result = TypeVar("_Result")


@asynccontextmanager
async def open_task_group() -> AsyncIterator[TaskGroup]:
    """A task group whose single failure is raised as it is; several stay a group."""
    try:
        async with anyio.create_task_group() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        raise only(group) from None


def only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one exception inside nested groups of one, or the group."""
    if len(group.exceptions) > 1:
        return group
    error = group.exceptions[0]
    return only(error) if isinstance(error, BaseExceptionGroup) else error


class Changed:
    """A condition variable without a lock, for state that only the event loop touches.

    Check the state, then `wait`; whoever changes the state calls `notify`. As nothing else runs between the
    check and the wait, no change is missed.
    """

    def __init__(self) -> None:
        self._event = anyio.Event()

    def notify(self) -> None:
        """Wakes everyone who waits; each of them looks at the state again."""
        self._event.set()
        self._event = anyio.Event()

    async def wait(self) -> None:
        """Returns at the next `notify`."""
        await self._event.wait()

    async def until(self, holds: Callable[[], object]) -> None:
        """Returns once ``holds()`` is true, which is asked now and after each `notify`."""
        while not holds():
            await self._event.wait()


async def run_abandonable(call: Callable[[], _Result]) -> _Result:
    """Runs ``call`` in a daemon thread of its own and returns what it returns, or raises what it raises.

    For work that cannot be told to stop, like fetching gigabytes. Cancelled, the call goes on alone, but it
    does not hold up the end of the process: the interpreter joins AnyIO's worker threads, abandoned or not,
    as it does those of executors.
    """
    token = anyio.lowlevel.current_token()
    outcome: Future[_Result] = Future()
    done = anyio.Event()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001  # raised again where it is waited for
            outcome.set_exception(error)
        with suppress(RuntimeError):  # the event loop has ended meanwhile
            anyio.from_thread.run_sync(done.set, token=token)

    threading.Thread(target=run, name="abandonable", daemon=True).start()
    await done.wait()
    return outcome.result()
