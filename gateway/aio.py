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

from gateway.errors import ClientGoneError, GatewayError, Notice

_Result = TypeVar("_Result")


@asynccontextmanager
async def open_task_group() -> AsyncIterator[TaskGroup]:
    """A task group that fails with one exception: of what fails at the same time, with the one that counts.

    Whether two tasks fail in one turn of the event loop is chance, as where a connection breaks under the one
    that reads and the one that writes. Whoever handles what they raise must not have to think of it.
    """
    try:
        async with anyio.create_task_group() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        raise _cause(group) from None


def _cause(error: BaseException) -> BaseException:
    """What ends the process, else what nobody foresaw, else that the client left, else the first.

    The others are noted.
    """
    if not isinstance(error, BaseExceptionGroup):
        return error
    causes = [_cause(each) for each in error.exceptions]
    cause = min(causes, key=_rank)
    for other in causes:
        if other is not cause:
            cause.add_note(f"At the same time: {other!r}")
    return cause


def _rank(error: BaseException) -> int:
    match error:
        case ClientGoneError():
            return 2
        case GatewayError() | Notice():
            return 3
    return 1 if isinstance(error, Exception) else 0


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
