"""Replicas on Ray against worker processes: rows decoded by two of each on two cores, and what a call costs.

Ray's own processes run on the same cores, and count: those that start, watch and connect the replicas. A live
session makes a call for each partial, every 0.7 s while somebody speaks, and one for each utterance.
"""

import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import anyio
import numpy as np

from bench.audio import speech
from bench.engines import ENGLISH, whisper
from bench.hearing import find_base, model_name
from bench.server import cpu_seconds
from bench.stage import Bench, Finding, Table, Target
from bench.stats import ratios, spread
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.engine.api import DecodeRequest, EngineSpec, Recognizer
from gateway.engine.batcher import Batcher, BatcherOptions
from gateway.engine.devices.placement import Machine, lane_environment, worker_environments
from gateway.engine.ray.messages import Placement
from gateway.engine.ray.spec import RaySpec
from gateway.engine.whisper.engine import WhisperSpec
from gateway.metrics import Metrics

REPLICAS = 2
ROW_SECONDS = 28
ROWS = 12
STORE_BYTES = 150_000_000

LIVE_SECONDS = 5
"""Of the speech that a live session's partial has, in the middle of an utterance."""

LIVE_CALLS = 1 / 0.7 + 0.2
"""A second, while somebody speaks."""

CALLS = 40
IDLE_SECONDS = 5


def run(bench: Bench) -> Iterator[Finding]:
    """One batch of rows after the other, sides taking turns; then calls that decode next to nothing."""
    if find_spec("ray") is None:
        yield "Ray is not installed: pip install '.[ray]'"
        return
    model = bench.model() if bench.quick else find_base() or bench.model("tiny")
    with _local_cluster():
        took, figures = anyio.run(partial(_measure, bench, model))
    shares = ratios(took["workers"], took["ray"])
    rows = [
        (name, spread([each / ROWS for each in took[side]]), spread(shares) if side == "ray" else "1")
        for side, name in (("workers", "two workers"), ("ray", "two replicas on Ray"))
    ]
    columns = ("", "s for a row", "throughput of the workers'")
    yield Table(f"{model_name(model)}, int8, beam 5, rows of {ROW_SECONDS} s, one thread each", columns, rows)
    share = median(shares)
    text = f"{REPLICAS} replicas on Ray decode at least 0.85 of what as many workers do"
    yield Target(text, f"{share:.2f}", share >= 0.85)
    of_calls = ("", "latency, ms", "CPU of all processes, ms", "of the gateway's, ms")
    yield Table(
        f"A call of a row of {LIVE_SECONDS} s that is silence, beyond decoding it",
        of_calls,
        [(name, *(f"{value:.1f}" for value in each)) for name, each in figures.items() if name != "idle"],
    )
    idle = 100 * figures["idle"][0]
    yield f"With nothing to do, Ray's processes, two replicas and the keeper take {idle:.1f} % of a core."
    cost = (figures["ray"][1] - figures["workers"][1]) * LIVE_CALLS / 10
    text = "Ray's calls cost at most 2 % of a core for each live session"
    yield Target(text, f"{cost:.2f} % more than workers", cost <= 2)


@contextmanager
def _local_cluster() -> Iterator[None]:
    import ray  # noqa: PLC0415 - an extra

    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    # As the workers, which do not give way to other processes: Ray's actors would.
    os.environ |= {"RAY_worker_niceness": "0"}
    ray.init(
        num_cpus=REPLICAS,
        include_dashboard=False,
        object_store_memory=STORE_BYTES,
        log_to_driver=False,
        namespace="gateway",
    )
    try:
        yield
    finally:
        ray.shutdown()


async def _measure(
    bench: Bench, model: Path
) -> tuple[dict[str, list[float]], dict[str, tuple[float, float, float]]]:
    spec = whisper(model, cpu_threads=1, max_batch=1)
    long = [speech(ROW_SECONDS, start=start) for start in range(ROWS)]
    took: dict[str, list[float]] = {"workers": [], "ray": []}
    figures: dict[str, tuple[float, float, float]] = {}
    async with AsyncExitStack() as stack:
        sides = {
            "workers": await stack.enter_async_context(_workers(spec)),
            "ray": await stack.enter_async_context(_replicas(spec)),
        }
        for side in sides.values():
            await _decode(side, long[:REPLICAS])
        for number in range(2 if bench.quick else bench.rounds):
            for name in list(sides)[:: -1 if number % 2 else 1]:
                took[name].append(await _decode(sides[name], long))
        idle = await _idle()
        figures["idle"] = (idle, 0, 0)
        for name, side in sides.items():
            figures[name] = await _call_cost(side, idle)
    return took, figures


@asynccontextmanager
async def _workers(spec: WhisperSpec) -> AsyncIterator[Batcher]:
    async with _running(spec, worker_environments([None] * REPLICAS, Machine.here(), threads=1)) as batcher:
        yield batcher


@asynccontextmanager
async def _replicas(spec: WhisperSpec) -> AsyncIterator[Batcher]:
    placement = Placement(cpus=1, least=REPLICAS, most=REPLICAS, linger=5)
    shared = RaySpec(spec, spec.load, placement, lane_environment(1))
    async with _running(shared, [{}] * REPLICAS) as batcher:
        yield batcher


@asynccontextmanager
async def _running(spec: EngineSpec, environments: Sequence[dict[str, str]]) -> AsyncIterator[Batcher]:
    batcher = Batcher(spec, Metrics(), BatcherOptions(idle_wait_seconds=0), environments)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(batcher.run)
        await batcher.changed.until(lambda: all(each.state.serves for each in batcher.state))
        yield batcher
        tasks.cancel_scope.cancel()


async def _decode(recognizer: Recognizer, rows: Sequence[Samples]) -> float:
    """Seconds for all of them, put at once."""
    began = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for number, row in enumerate(rows):
            tasks.start_soon(partial(recognizer.transcribe, DecodeRequest(row, ENGLISH), stream=number))
    return time.perf_counter() - began


async def _idle() -> float:
    """CPU seconds a second of all processes while nothing is to be done."""
    began = _cpu()
    await anyio.sleep(IDLE_SECONDS)
    return (_cpu() - began) / IDLE_SECONDS


async def _call_cost(recognizer: Recognizer, idle: float) -> tuple[float, float, float]:
    """Milliseconds of a call: its latency, CPU of all processes less what idling takes, and of this one."""
    request = DecodeRequest(np.zeros(LIVE_SECONDS * SAMPLE_RATE, np.float32), ENGLISH, hurried=True)
    waits = []
    began, cpu, own = time.perf_counter(), _cpu(), time.process_time()
    for number in range(CALLS):
        sent = time.perf_counter()
        await recognizer.transcribe(request, stream=number)
        waits.append(time.perf_counter() - sent)
    elapsed = time.perf_counter() - began
    everything = _cpu() - cpu - idle * elapsed
    return 1000 * median(waits), 1000 * everything / CALLS, 1000 * (time.process_time() - own) / CALLS


def _cpu() -> float:
    """Of this process and all that it started, and they."""
    return sum(cpu_seconds(pid) for pid in _family(os.getpid()))


def _family(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:  # it has ended meanwhile
        return
    for child in children:
        yield from _family(child)
