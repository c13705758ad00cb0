"""How long a short clip waits beside eight long recordings."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median

import anyio

from bench import client
from bench.server import RunningServer, metrics_at, serve
from bench.stage import Bench, Finding, Table, Target
from bench.stats import spread

LONG = 8
LONG_SECONDS = 1800
CLIP_SECONDS = 3
CALLS = 8
"""Of which a running batch's time is the mean."""


def run(bench: Bench) -> Iterator[Finding]:
    """A clip alone, then beside."""
    clip, long, rows = bench.opus(CLIP_SECONDS), bench.opus(LONG_SECONDS), []
    for name in bench.models:
        with serve(bench.model(name)) as server:
            server.upload(clip)
            alone = [_clip(server, clip) for _ in range(bench.rounds)]
            beside, call = anyio.run(_beside, server, clip, long, 2 * bench.rounds)
        waits = [(seconds - median(alone)) / call for seconds in beside]
        rows.append((name, spread(alone), spread(beside), f"{call:.2f}", spread(waits)))
        text = f"{name}: a clip waits at most one running batch longer than alone"
        yield Target(text, f"{spread(waits)} batches longer", median(waits) <= 1)
    length = f"{LONG_SECONDS // 60} min"
    title = f"Seconds for a clip of {CLIP_SECONDS} s, alone and beside {LONG} recordings of {length}"
    yield Table(title, ("", "alone", "beside", "a running batch", "longer, in batches"), rows)


def _clip(server: RunningServer, clip: Path) -> float:
    server.wait_idle()
    return server.upload(clip).seconds


async def _beside(server: RunningServer, clip: Path, long: Path, rounds: int) -> tuple[list[float], float]:
    """Seconds of each clip, and of the mean engine call without clips."""
    async with anyio.create_task_group() as tasks:
        for _ in range(LONG):
            tasks.start_soon(_keep_busy, server, long)
        # All eight are in the batches by then.
        before = await metrics_at(server, 4 * LONG)
        after = await metrics_at(server, 4 * LONG + CALLS * LONG)
        seconds = [(await client.transcribe(server.port, clip)).seconds for _ in range(rounds)]
        tasks.cancel_scope.cancel()
    return seconds, (after - before).call_seconds


async def _keep_busy(server: RunningServer, long: Path) -> None:
    while True:
        await client.transcribe(server.port, long)
