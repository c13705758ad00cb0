"""The longest that any callback keeps the event loop, while sixteen uploads run."""

import json
from functools import partial

import anyio

from bench import client
from bench.instrumented import VARIABLE
from bench.report import Bench, Report, Target
from bench.server import serve
from bench.table import Table

CLIENTS = 16
SHOWN = 6


def run(bench: Bench) -> Report:
    """The miniature; from after the start to before the end, as those are no uploads."""
    minutes = 2 if bench.quick else 10
    file, result = bench.opus(minutes * 60), bench.folder / "holds.json"

    async def all_at_once(port: int) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(CLIENTS):
                tasks.start_soon(partial(client.transcribe, port, file))

    command = ("-m", "bench.instrumented", "serve")
    with serve(bench.miniature, command=command, **{VARIABLE: str(result)}) as server:
        anyio.run(all_at_once, server.port)
    holds = json.loads(result.read_text())
    longest = sorted(holds.items(), key=lambda item: -item[1][1])
    # Uvicorn's own start (and end) are one step each of its main task, before and after all uploads.
    ours = [item for item in longest if item[0] not in _STARTING]
    rows = tuple((name, f"{count}", f"{hold:.1f}") for name, (count, hold) in ours[:SHOWN])
    most = ours[0][1][1]
    return Report(
        [
            Table(
                f"Longest callbacks, {CLIENTS} uploads of {minutes} min at once",
                ("callback", "times", "longest, CPU ms"),
                rows,
            )
        ],
        [Target("no callback holds the event loop for more than 10 ms of CPU", f"{most:.1f} ms", most <= 10)],
    )


_STARTING = ("task Server.serve", "task LifespanOn.main")
