"""``gateway``, with a clock on each callback of its event loop: its thread's CPU time, not others' turns."""

import asyncio
import json
import os
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from gateway.cli import main

VARIABLE = "BENCH_HOLDS"
"""Names the file for the result: by callback, how often it ran, and its longest hold in ms."""


def _name(handle: Any) -> str:
    callback = handle._callback  # noqa: SLF001 - asyncio tells nobody else
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        coroutine: Any = owner.get_coro()
        return f"task {getattr(coroutine, '__qualname__', type(coroutine).__name__)}"
    return str(getattr(callback, "__qualname__", type(callback).__name__))


def run() -> None:
    """Serves as the command line says, and writes the result at the end."""
    holds: defaultdict[str, list[float]] = defaultdict(lambda: [0, 0.0])
    plain = asyncio.events.Handle._run  # noqa: SLF001 - there is no other place

    def timed(handle: asyncio.Handle) -> None:
        name = _name(handle)
        started = time.thread_time()
        try:
            plain(handle)
        finally:
            hold = holds[name]
            hold[0] += 1
            hold[1] = max(hold[1], 1000 * (time.thread_time() - started))

    asyncio.events.Handle._run = timed  # type: ignore[method-assign,assignment]  # noqa: SLF001 - the same
    try:
        main()
    finally:
        Path(os.environ[VARIABLE]).write_text(json.dumps(holds))


if __name__ == "__main__":
    run()
