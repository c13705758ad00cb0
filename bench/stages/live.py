"""Live captions: how late they are, for how many people at once, and whether what was told is kept to."""

import math
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from statistics import median

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.crowd import MOST_LAG, Crowd, Run, runs_table
from bench.engines import cards
from bench.realtime import CLEAR, converse, url
from bench.server import RunningServer, cpu_seconds, memory_mb, serve
from bench.sessions import Figures
from bench.stage import Bench, Finding, Plot, Table, Target
from bench.stats import largest, per_cent, percentile
from bench.talk import phrases, silence

OVERLOAD = 2.5
MOST_OVERLOAD_LAG = 5.0
MOST_CLIENTS = 256
"""What one process of clients can send at the right time."""

SILENT = 50
"""Sessions in which silence is sent."""

OPEN = 1000
"""Sessions in which nothing is sent."""


def run(bench: Bench) -> Iterator[Finding]:
    """The miniature; in full, on CUDA, also random weights of Whisper small's dimensions."""
    said = phrases()
    with serve(bench.model()) as server:
        yield from _idle(server, 6 if bench.quick else 20)
        yield from _model(bench, "miniature", Crowd(server, said, has_words=True), thorough=True)
    if bench.quick:
        return
    for card in cards():
        with serve(bench.model("small")) as server:
            crowd = Crowd(server, said, has_words=False)
            yield from _model(bench, f"small, random weights, {card}", crowd)


def _model(bench: Bench, name: str, crowd: Crowd, *, thorough: bool = False) -> Iterator[Finding]:
    """One client, as many as fit; thoroughly, also such that commit themselves, and more than fit."""
    length, probe = (20, 8) if bench.quick else (60, 12)
    probes: dict[int, Run] = {}

    def fits(clients: int) -> bool:
        probes[clients] = crowd.run(f"{clients}", clients, probe)
        print(f"{name}: {clients} clients, p95 {probes[clients].lag:.2f} s", flush=True)
        return probes[clients].fits

    alone = crowd.run("1 client", 1, min(length, 30))
    best, runs = largest(fits, MOST_CLIENTS, halvings=1 if bench.quick else 2), [alone]
    if best > 1:
        runs.append(crowd.run(f"{best} clients", best, length))
    more = (median(alone.figures.finals) if alone.figures.finals else math.nan) - alone.batch
    text = "one client's final comes within one engine call and 100 ms of the silence window's end"
    yield Target(f"{name}: {text}", f"{1000 * more:.0f} ms more than a call", more <= 0.1)
    overload = []
    if thorough and best:
        many, crowded = max(1, best // 4), round(OVERLOAD * best)
        runs.append(crowd.run(f"{many} continuous", many, length / 2, continuous=True))
        runs.append(crowd.run(f"{crowded} arriving", crowded, length / 2, over=length / 4))
        overload.append(_overload_target(name, runs[-1].figures))
    if crowd.has_words:
        yield _kept_target(name, [run.figures for run in [*runs, *probes.values()]])
    yield from overload
    lag = f"p95 of the final within {MOST_LAG:g} s"
    yield runs_table(f"{name}: at most {best} clients with {lag}", runs)
    lines = {
        f"p{percent}": [(n, percentile(probes[n].figures.finals, percent)) for n in sorted(probes)]
        for percent in (50, 95)
    }
    yield Plot(f"Final behind the silence window, {name}", "clients", "s", lines)


def _kept_target(name: str, runs: list[Figures]) -> Target:
    finals = sum(found.released for found in runs)
    kept = sum(found.begins * found.released for found in runs if found.released)
    share = kept / finals if finals else math.nan
    text = f"{name}: a final begins with what was released in 95 %"
    return Target(text, f"{per_cent(share)} of {finals} in all runs", share >= 0.95)


def _overload_target(name: str, found: Figures) -> Target:
    worst = max(found.finals, default=math.nan)
    text = f"{OVERLOAD:g} times as many: finals within {MOST_OVERLOAD_LAG:g} s, nothing is lost"
    counts = f"{found.refused} refused, {found.broken} broken, {found.lost} lost"
    reached = worst < MOST_OVERLOAD_LAG and not (found.broken + found.lost)
    return Target(f"{name}: {text}", f"{worst:.1f} s at most, {counts}", reached)


def _idle(server: RunningServer, seconds: float) -> Iterator[Finding]:
    """Sessions that send silence, then such that send nothing; each for so many seconds."""
    anyio.run(_send_silence, server, 2, 2.0)
    core, megabytes = anyio.run(_send_silence, server, SILENT, seconds)
    kilobytes, stayed = anyio.run(_keep_open, server, seconds)
    means = f"mean of {SILENT} that send silence, and of {OPEN} that send nothing"
    yield Table(
        f"A session in which nobody speaks: {means}",
        ("", "value"),
        [
            ("CPU of the server, % of a core", f"{100 * core:.2f}"),
            ("memory of the server, MB", f"{megabytes:.2f}"),
            ("memory of one that sends nothing, kB", f"{kilobytes:.0f}"),
        ],
    )
    yield Target("a silent client takes at most 1 % of a core", f"{100 * core:.2f} %", core <= 0.01)
    yield Target("and at most 2 MB", f"{megabytes:.2f} MB", megabytes <= 2)
    yield Target(f"{OPEN} idle sessions stay", f"{stayed} answer", stayed == OPEN)


async def _send_silence(server: RunningServer, clients: int, seconds: float) -> tuple[float, float]:
    """Share of a core and megabytes for each."""
    # Longer than is measured; no client comes to its end.
    talk, before = silence(seconds + 10), memory_mb(server.edge)

    async def client(number: int) -> None:
        await anyio.sleep(number / clients)
        await converse(server.port, talk)

    async with anyio.create_task_group() as tasks:
        for number in range(clients):
            tasks.start_soon(client, number)
        # Past the connecting, and until the kept audio of each is at its most.
        await anyio.sleep(6)
        cpu, began = cpu_seconds(server.edge), anyio.current_time()
        await anyio.sleep(seconds)
        core = (cpu_seconds(server.edge) - cpu) / (anyio.current_time() - began)
        added = memory_mb(server.edge) - before
        tasks.cancel_scope.cancel()
    return core / clients, added / clients


async def _keep_open(server: RunningServer, seconds: float) -> tuple[float, int]:
    """Kilobytes for each, and how many answer after so many seconds."""
    before, stayed = memory_mb(server.edge), list[bool]()

    async def answer(socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            await socket.send(CLEAR)
            await socket.recv()
            stayed.append(True)

    async with AsyncExitStack() as stack:
        sockets = []
        for _ in range(OPEN):
            socket = await stack.enter_async_context(connect(url(server.port), open_timeout=60))
            await socket.recv()
            sockets.append(socket)
        await anyio.sleep(seconds)
        added = memory_mb(server.edge) - before
        async with anyio.create_task_group() as answers:
            for socket in sockets:
                answers.start_soon(answer, socket)
    return 1000 * added / OPEN, len(stayed)
