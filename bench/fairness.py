"""How long a short clip waits beside eight long recordings."""

from functools import partial
from pathlib import Path
from statistics import median

import anyio

from bench import client
from bench.report import Bench, Report, Target
from bench.server import RunningServer, serve
from bench.table import Table, spread

LONG = 8
LONG_SECONDS = 1800
CLIP_SECONDS = 3
CALLS = 8
"""Of which a running batch's time is the mean."""

_NOTE = (
    "Each clip comes when the one before it has its answer, so a batch of the recordings has just begun: it "
    "waits for all of that, which is the worst case. Then it has a batch without them. A running batch is "
    "the mean of those before the first clip."
)


def run(bench: Bench) -> Report:
    """The miniature; in full also Whisper tiny's dimensions, where the engine is nearly all."""
    cases = [("miniature", bench.miniature)]
    if not bench.quick:
        cases.append(("tiny", bench.tiny))
    rows, targets = [], []
    for name, model in cases:
        with serve(model) as server:
            clip, long = bench.opus(CLIP_SECONDS), bench.opus(LONG_SECONDS)
            anyio.run(partial(client.transcribe, server.port, clip))
            alone = [_clip(server, clip) for _ in range(bench.rounds)]
            beside, call = anyio.run(_beside, server, clip, long, 2 * bench.rounds)
        waits = [(seconds - median(alone)) / call for seconds in beside]
        rows.append((name, spread(alone), spread(beside), f"{call:.2f}", spread(waits)))
        targets.append(
            Target(
                f"{name}: a clip waits at most one running batch longer than alone",
                f"{spread(waits)} batches longer",
                median(waits) <= 1,
            )
        )
    return Report(
        [
            Table(
                f"Seconds for a clip of {CLIP_SECONDS} s, alone and beside {LONG} recordings of "
                f"{LONG_SECONDS // 60} min",
                ("", "alone", "beside", "a running batch", "longer, in batches"),
                tuple(rows),
            )
        ],
        targets,
        [_NOTE],
    )


def _clip(server: RunningServer, clip: Path) -> float:
    server.wait_idle()
    return anyio.run(partial(client.transcribe, server.port, clip)).seconds


async def _beside(server: RunningServer, clip: Path, long: Path, rounds: int) -> tuple[list[float], float]:
    """Seconds of each clip, and of the mean engine call without clips."""
    async with anyio.create_task_group() as tasks:
        for _ in range(LONG):
            tasks.start_soon(_keep_busy, server, long)
        # All eight are in the batches by then.
        before = await _metrics_at(server, 4 * LONG)
        after = await _metrics_at(server, 4 * LONG + CALLS * LONG)
        seconds = [(await client.transcribe(server.port, clip)).seconds for _ in range(rounds)]
        tasks.cancel_scope.cancel()
    name = "gateway_batch_seconds"
    calls = after[f"{name}_count"] - before[f"{name}_count"]
    return seconds, (after[f"{name}_sum"] - before[f"{name}_sum"]) / calls


async def _keep_busy(server: RunningServer, long: Path) -> None:
    while True:
        await client.transcribe(server.port, long)


async def _metrics_at(server: RunningServer, rows: int) -> dict[str, float]:
    """The server's metrics once it has decoded so many rows."""
    while True:
        values = await anyio.to_thread.run_sync(server.metrics)
        if values.get("gateway_decoded_rows_total", 0) >= rows:
            return values
        await anyio.sleep(0.1)  # it is another process that counts
