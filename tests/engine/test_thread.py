"""A call in a thread that nobody waits for: its outcome comes back, and the process may end without it."""

import subprocess
import sys

import pytest

from gateway.engine.thread import run_abandonable

LEAVES = """
import threading
import anyio
from gateway.engine.thread import run_abandonable

async def main():
    begun = threading.Event()
    def fetch():
        begun.set()
        threading.Event().wait()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_abandonable, fetch)
        while not begun.is_set():
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    print("left")

anyio.run(main)
"""


def _fail() -> None:
    raise KeyError("a")


async def test_the_outcome_comes_back() -> None:
    """What the call returns, and what it raises."""
    with pytest.raises(KeyError):
        await run_abandonable(_fail)

    assert await run_abandonable(lambda: 7) == 7


def test_the_process_ends_without_it() -> None:
    """A call that never returns holds up nothing once it was cancelled."""
    done = subprocess.run(
        [sys.executable, "-c", LEAVES], capture_output=True, text=True, timeout=20, check=True
    )

    assert done.stdout == "left\n"
