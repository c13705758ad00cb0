"""How long a short clip waits beside eight long recordings: with one worker, and with an express worker."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import anyio

from bench import client
from bench.hearing import clip, find_base, model_name
from bench.server import RunningServer, metrics_at, serve
from bench.stage import Bench, Finding, Table, Target
from bench.stats import interleaved, percentile, spread

LONG = 8
LONG_SECONDS = 1800
CLIP_SECONDS = 3
CLIPS = 8
"""Of each run, alone and beside."""

PAUSE = 3.0
"""Seconds between a clip's answer and the next clip."""

MOST_LONGER = 1.5
"""Seconds."""

SIDES = {"one worker": "off", "and an express worker": "on"}


def run(bench: Bench) -> Iterator[Finding]:
    """A clip alone, then beside, by turns."""
    model = find_base() or bench.model()
    file, long = clip(bench, CLIP_SECONDS), bench.opus(LONG_SECONDS)
    runs: dict[str, list[_Run]] = {name: [] for name in SIDES}

    def measured(name: str) -> float:
        with serve(model, GATEWAY_EXPRESS_WORKER=SIDES[name]) as server:
            server.upload(file)
            alone = [_clip(server, file) for _ in range(CLIPS)]
            runs[name].append(_Run(alone, *anyio.run(_beside, server, file, long)))
        return median(runs[name][-1].beside)

    interleaved({name: partial(measured, name) for name in SIDES}, 1 if bench.quick else 3)
    rows, longer = [], 0.0
    for name, found in runs.items():
        alone = [seconds for each in found for seconds in each.alone]
        beside = [seconds for each in found for seconds in each.beside]
        longer = median(beside) - median(alone)
        rates = [each.rate for each in found]
        rows.append((name, spread(alone), spread(beside), f"{percentile(beside, 95):.2f}", spread(rates)))
    length = f"{LONG_SECONDS // 60} min"
    title = f"{model_name(model)}: seconds for a clip of {CLIP_SECONDS} s, and {LONG} recordings of {length}"
    columns = ("", "alone", "beside", "p95", "audio seconds per second of the recordings")
    yield Table(title, columns, rows)
    text = f"a clip takes at most {MOST_LONGER:g} s more beside the recordings than alone"
    yield Target(text, f"{longer:.2f} s more", longer <= MOST_LONGER)


@dataclass(frozen=True, slots=True)
class _Run:
    """One server's figures.

    Attributes:
        rate: Of the recordings, while clips came.
    """

    alone: list[float]
    beside: list[float]
    rate: float


def _clip(server: RunningServer, file: Path) -> float:
    server.wait_idle()
    return server.upload(file).seconds


async def _beside(server: RunningServer, file: Path, long: Path) -> tuple[list[float], float]:
    """Seconds of each clip, and the recordings' audio seconds per second meanwhile."""
    async with anyio.create_task_group() as tasks:
        for _ in range(LONG):
            tasks.start_soon(_keep_busy, server, long)
        # All eight are under way by then.
        before = await metrics_at(server, server.metrics().rows + 2 * LONG)
        began = time.perf_counter()
        seconds = []
        for _ in range(CLIPS):
            await anyio.sleep(PAUSE)
            seconds.append((await client.transcribe(server.port, file)).seconds)
        took = time.perf_counter() - began
        decoded = (server.metrics() - before)["gateway_decoded_audio_seconds_total"]
        tasks.cancel_scope.cancel()
    return seconds, (decoded - CLIPS * CLIP_SECONDS) / took


async def _keep_busy(server: RunningServer, long: Path) -> None:
    while True:
        await client.transcribe(server.port, long)
