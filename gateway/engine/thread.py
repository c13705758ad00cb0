"""A thread that nobody waits for: for fetching gigabytes, which cannot be told to stop."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel

_Result = TypeVar("_Result")


async def run_abandonable(call: Callable[[], _Result]) -> _Result:
    """Runs ``call`` in a daemon thread of its own and returns what it returns, or raises what it raises.

    Cancelled, the call goes on alone, but it does not hold up the end of the process: the interpreter joins
    AnyIO's worker threads, abandoned or not, as it does those of executors.
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
