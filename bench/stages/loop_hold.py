"""The longest that any callback keeps the event loop, while sixteen uploads run."""

import json
import sys
from collections.abc import Iterator

from bench.instrumented import VARIABLE
from bench.server import serve
from bench.stage import Bench, Finding, Table, Target

CLIENTS = 16
SHOWN = 6
COMMAND = (sys.executable, "-m", "bench.instrumented", "serve")

STARTING = ("task Server.serve", "task LifespanOn.main")
"""Uvicorn's own start (and end) are one step each of its main task, before and after all uploads."""


def run(bench: Bench) -> Iterator[Finding]:
    """The miniature; from after the start to before the end, as those are no uploads."""
    minutes = 2 if bench.quick else 10
    files, result = [bench.opus(minutes * 60)] * CLIENTS, bench.folder / "holds.json"
    with serve(bench.model(), command=COMMAND, **{VARIABLE: str(result)}) as server:
        server.upload_all(files)
    holds = [(most, name, count) for name, (count, most) in json.loads(result.read_text()).items()]
    ours = sorted((hold for hold in holds if hold[1] not in STARTING), reverse=True)
    yield Table(
        f"Longest callbacks, {CLIENTS} uploads of {minutes} min at once",
        ("callback", "times", "longest, CPU ms"),
        [(name, f"{count}", f"{most:.1f}") for most, name, count in ours[:SHOWN]],
    )
    most = ours[0][0]
    yield Target("no callback holds the event loop for more than 10 ms of CPU", f"{most:.1f} ms", most <= 10)
