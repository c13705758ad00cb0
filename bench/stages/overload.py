"""Several times as many requests as can be served: what those take that are let in, and what refusing costs.

Clips come at random times, whatever became of those before, as from many people.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import anyio
import numpy as np

from bench import client
from bench.client import RefusedError
from bench.hearing import clip, find_base, model_name
from bench.server import RunningServer, cpu_seconds, serve
from bench.stage import Bench, Finding, Table, Target
from bench.stats import percentile, percentiles

CLIP_SECONDS = 3
CLIPS = 20
"""One after the other, for the time without load; as many for each place, all at once, for the capacity."""

TIMES = (3, 10)
"""The capacity, so many clips come."""

SECONDS = 40.0
QUICK_SECONDS = 10.0
PLACES = (1, 2)
MOST_SLOWER = 1.5
MOST_CPU_MS = 100


@dataclass(slots=True)
class _Load:
    """Clips that came at one rate.

    Attributes:
        answered: Seconds of each that was let in; ``refused``: of the others.
        refusal_ms: CPU of the server's process for each refusal, beyond what those let in cost.
    """

    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    refusal_ms: float = math.nan


def run(bench: Bench) -> Iterator[Finding]:
    """One place, then as many as a lane each; the default's places are for those who would rather wait."""
    model, file = find_base() or bench.model(), clip(bench, CLIP_SECONDS)
    rows, targets = [], list[Target]()
    for places in PLACES:
        limits = {"GATEWAY_MAX_STREAMS": str(places), "GATEWAY_CLIENT_STREAMS": str(places)}
        with serve(model, GATEWAY_DEVICE="cpu", **limits) as server:
            alone, capacity, cpu = _unloaded(server, file, places)
            rows.append((f"{places}", "one after the other", *_times(alone), "0", "–", "–"))  # noqa: RUF001
            for times in TIMES:
                load = anyio.run(
                    _come, server, file, times * capacity, QUICK_SECONDS if bench.quick else SECONDS, cpu
                )
                share = f"{len(load.refused) / (len(load.refused) + len(load.answered)):.0%}"
                took, ms = percentiles(load.refused, 50, 95), f"{load.refusal_ms:.0f}"
                rate = f"{times} x {capacity:.1f} a second"
                rows.append((f"{places}", rate, *_times(load.answered), share, took, ms))
                if places == PLACES[0]:
                    targets += _targets(times, alone, load)
    columns = (
        "places",
        "clips come",
        "let in: p50 / p95, s",
        "so many",
        "refused",
        "p50 / p95, s",
        "CPU ms of a refusal",
    )
    yield Table(f"{model_name(model)}: clips of {CLIP_SECONDS} s", columns, rows)
    yield from targets


def _targets(times: int, alone: list[float], load: _Load) -> Iterator[Target]:
    slower = percentile(load.answered, 95) / percentile(alone, 95)
    text = f"{times} times the capacity: p95 of those let in at most {MOST_SLOWER} times that without load"
    yield Target(text, f"{slower:.2f}", slower <= MOST_SLOWER)
    text = f"{times} times the capacity: a refusal costs at most {MOST_CPU_MS} ms of CPU"
    yield Target(text, f"{load.refusal_ms:.0f} ms", load.refusal_ms <= MOST_CPU_MS)


def _times(seconds: list[float]) -> tuple[str, str]:
    return percentiles(seconds, 50, 95), f"{len(seconds)}"


def _unloaded(server: RunningServer, file: Path, places: int) -> tuple[list[float], float, float]:
    """Seconds of clips that come one after the other, clips a second at most, and CPU of the edge for one."""
    server.upload(file)
    before = cpu_seconds(server.edge)
    alone = []
    for _ in range(CLIPS):
        server.wait_idle()
        alone.append(server.upload(file).seconds)
    cpu = (cpu_seconds(server.edge) - before) / CLIPS
    if places == 1:
        return alone, 1 / median(alone), cpu
    server.wait_idle()
    began = time.perf_counter()
    anyio.run(_one_by_one_each, server, file, places)
    return alone, CLIPS * places / (time.perf_counter() - began), cpu


async def _one_by_one_each(server: RunningServer, file: Path, clients: int) -> None:
    async def one_by_one() -> None:
        left = CLIPS
        while left:
            try:
                await client.transcribe(server.port, file)
            except RefusedError:
                continue  # the one before has its answer, but its place is not free yet
            left -= 1

    async with anyio.create_task_group() as tasks:
        for _ in range(clients):
            tasks.start_soon(one_by_one)


async def _come(server: RunningServer, file: Path, rate: float, seconds: float, cpu: float) -> _Load:
    """Clips at random, so many a second at the mean."""
    load, chance = _Load(), np.random.default_rng(0)
    before, began = cpu_seconds(server.edge), anyio.current_time()
    async with anyio.create_task_group() as tasks:
        due = began
        while due < began + seconds:
            await anyio.sleep_until(due)
            tasks.start_soon(partial(_one, server, file, load))
            due += float(chance.exponential(1 / rate))
    spent = cpu_seconds(server.edge) - before - cpu * len(load.answered)
    load.refusal_ms = 1000 * max(0.0, spent) / len(load.refused) if load.refused else math.nan
    return load


async def _one(server: RunningServer, file: Path, load: _Load) -> None:
    began = time.perf_counter()
    try:
        load.answered.append((await client.transcribe(server.port, file)).seconds)
    except RefusedError:
        load.refused.append(time.perf_counter() - began)
