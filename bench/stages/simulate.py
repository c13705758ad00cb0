"""The simulation held against the real server at three loads, and carried to a million sessions."""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import anyio
import httpx

from bench.costs import Cost
from bench.paced import NAME
from bench.server import ROOT, RunningServer, serve
from bench.simulation import Arrival, Fleet, Live, Outcome, Simulation, arrivals
from bench.stage import Bench, Finding, Plot, Table, Target
from bench.stats import percentile

PAGE = ROOT / "docs" / "capacity.md"

# The comparison: an engine that sleeps, so that only what is ours differs between the two.
COST = Cost(fixed=2.0, per_second=0.02)
WORKERS = 2
LENGTHS = (3, 3, 3, 12)
LOADS = (0.3, 0.6, 0.9)
"""Shares of what the workers do without batches."""

# The fleet: assumed, as no card was at hand; `row_cost` of `curves.toml` says the same of batches.
CARD = Cost(fixed=0.045, per_second=0.004)
"""Seconds of a row of large-v3-turbo on one card."""
P95 = 1.0
"""Seconds within which 95 % of finals are to come."""
PARTIALS = 2.0
"""For each final, at least: with fewer the captions come in lumps."""
REPLICAS = (1, 2, 4, 8)
MILLION = 1_000_000
EDGE_SHARE = 0.02
"""Of a core for a live session that speaks half of the time: `live`, in bench/README.md."""
EDGE_CORES = 16
SESSION_KBITS = 24_000 * 16 * 4 / 3 / 1000
"""24 kHz, 16 bits, in base64."""
ROW_KBITS = 16_000 * 16 / 1000
"""A second of a row as WAV, to a replica elsewhere."""
PRICES = {"card": 2.0, "core": 0.04}
"""Dollars an hour, to be replaced by your own."""


@dataclass(frozen=True, slots=True)
class Alone:
    """What one upload has, with nobody else there.

    Attributes:
        rows: Seconds of its chunks, all together.
    """

    seconds: float
    rows: float


def run(bench: Bench) -> Iterator[Finding]:
    """First the comparison, then the fleet, which costs no more than the processor time of the simulation."""
    yield from _compared(bench)
    yield from _fleet(bench)


def _compared(bench: Bench) -> Iterator[Finding]:
    seconds = 30.0 if bench.quick else 60.0
    command = (sys.executable, "-m", "bench.paced", "--workers", f"{WORKERS}")
    cost = ("--fixed", f"{COST.fixed}", "--per-second", f"{COST.per_second}")
    rows = []
    errors = []
    files = {length: bench.opus(length) for length in sorted(set(LENGTHS))}
    with serve(None, command=(*command, *cost), PYTHONPATH=str(ROOT)) as server:
        alone = {length: _alone(server, path) for length, path in files.items()}
        overhead, cut = _calibrated(alone)
        mean = sum(COST.row(alone[length].rows) for length in LENGTHS) / len(LENGTHS)
        for load in LOADS:
            rate = load * WORKERS / mean
            coming = arrivals(rate, seconds, LENGTHS, seed=round(100 * load))
            real = anyio.run(partial(_real, server, coming, files))
            simulated = _simulated(coming, alone, overhead, cut)
            pairs = [(percentile(real, percent), simulated.file(percent)) for percent in (50, 95)]
            off = [ours / theirs - 1 for theirs, ours in pairs]
            errors.append(off)
            rows.append(
                (
                    f"{load:.0%}",
                    f"{len(real)}",
                    *(f"{theirs:.2f} / {ours:.2f}" for theirs, ours in pairs),
                    *(f"{100 * each:+.0f} %" for each in off),
                )
            )
    columns = (
        *("load", "recordings", "p50, s: real / simulated", "p95, s: real / simulated"),
        *("p50 off", "p95 off"),
    )
    lengths = ", ".join(map(str, LENGTHS))
    title = f"{WORKERS} workers; recordings of {lengths} s that come by chance, at the same times to both"
    yield Table(title, columns, rows)
    for at, (name, most) in enumerate((("median", 0.15), ("p95", 0.30))):
        worst = max((abs(off[at]) for off in errors), default=0.0)
        yield Target(f"the {name} is simulated within {most:.0%} at each load", f"{worst:.0%}", worst <= most)
    yield (
        "The real server has its HTTP, decoding, voice detection, queue and worker processes, and an engine "
        f"that sleeps for {COST.fixed:g} s, and {COST.per_second:g} s for a second of a row, in batches by "
        "the curve of a GPU. Of the server itself the simulation knows two numbers, from uploads that were "
        f"alone: {1000 * overhead:.0f} ms for a request and {1000 * cut:.1f} ms for a second to be cut."
    )


def _alone(server: RunningServer, path: Path) -> Alone:
    """The median of some uploads."""
    before = server.metrics()
    # Far from each other: each is alone.
    took = anyio.run(partial(_real, server, [Arrival(5.0 * at, 0) for at in range(3)], {0: path}))
    after = server.metrics() - before
    return Alone(median(took), after["gateway_decoded_audio_seconds_total"] / len(took))


def _calibrated(alone: dict[int, Alone]) -> tuple[float, float]:
    """Seconds of a request, and for a second to be cut, so that both lengths take alone what they took."""
    (short, one), *_, (long, other) = sorted(alone.items())
    extra = {}
    for length, seen in ((short, one), (long, other)):
        bare = _simulated([Arrival(0.0, length)], alone, 0.0, 0.0)
        extra[length] = max(0.0, seen.seconds - bare.file(50))
    cut = max(0.0, (extra[long] - extra[short]) / (long - short))
    return max(0.0, extra[short] - cut * short), cut


def _simulated(coming: Sequence[Arrival], alone: dict[int, Alone], overhead: float, cut: float) -> Outcome:
    fleet = Fleet(WORKERS, COST, overhead=overhead, cut=cut)
    heard = [Arrival(each.at, alone[round(each.seconds)].rows) for each in coming]
    return Simulation(fleet).run(max(each.at for each in coming) + 600.0, files=heard)


async def _real(server: RunningServer, coming: Sequence[Arrival], files: dict[int, Path]) -> list[float]:
    """Seconds of each recording that was sent at its time."""
    took: list[float] = []
    recordings = {length: path.read_bytes() for length, path in files.items()}
    url = f"http://127.0.0.1:{server.port}/v1/audio/transcriptions"

    async def send(client: httpx.AsyncClient, arrival: Arrival, began: float) -> None:
        await anyio.sleep(max(0.0, arrival.at - (time.perf_counter() - began)))
        started = time.perf_counter()
        form = {"model": NAME, "language": "en"}
        answer = await client.post(url, data=form, files={"file": recordings[round(arrival.seconds)]})
        took.append(time.perf_counter() - started)
        answer.raise_for_status()

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=600, limits=limits) as client, anyio.create_task_group() as tasks:
        began = time.perf_counter()
        for arrival in coming:
            tasks.start_soon(send, client, arrival, began)
    return took


def _fleet(bench: Bench) -> Iterator[Finding]:
    seconds = 15.0 if bench.quick else 40.0
    fits: dict[int, int] = {}
    outcomes: dict[int, Outcome] = {}
    for replicas in REPLICAS[:2] if bench.quick else REPLICAS:
        fits[replicas], outcomes[replicas] = _most(replicas, seconds, around=fits.get(replicas // 2, 16) * 2)
    columns = (
        "replicas",
        "sessions",
        "for each replica",
        "final, s: p50 / p95",
        "partials / finals",
        "busy",
        "rows of a call",
    )
    yield Table(
        f"Live sessions of one edge with p95 of finals within {P95:g} s and {PARTIALS:g} partials for each",
        columns,
        [
            (
                f"{replicas}",
                f"{sessions}",
                f"{sessions / replicas:.0f}",
                f"{seen.final(50):.2f} / {seen.final(95):.2f}",
                f"{seen.partials / max(1, len(seen.finals)):.1f}",
                f"{seen.busy / seen.seconds / replicas:.0%}",
                f"{seen.rows / max(1, seen.calls):.1f}",
            )
            for replicas, sessions in fits.items()
            for seen in (outcomes[replicas],)
        ],
    )
    one = fits[1]
    points = [
        (share, _live(1, max(1, round(one * share)), seconds)) for share in (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
    ]
    yield Plot(
        "finals of one replica",
        "sessions",
        "seconds",
        {
            name: [(max(1, round(one * share)), seen.final(percent)) for share, seen in points]
            for name, percent in (("p50", 50), ("p95", 95))
        },
    )
    yield Plot(
        "sessions for each replica",
        "replicas of one edge",
        "sessions",
        {
            "p95 of finals within 1 s": [
                (replicas, sessions / replicas) for replicas, sessions in fits.items()
            ]
        },
    )
    yield _million(max(fits), fits[max(fits)])


def _live(replicas: int, sessions: int, seconds: float) -> Outcome:
    return Simulation(Fleet(replicas, CARD)).run(seconds, live=Live(sessions))


def _most(replicas: int, seconds: float, *, around: int) -> tuple[int, Outcome]:
    """The most sessions whose finals come in time, none of them refused, to a tenth."""

    def fits(sessions: int) -> Outcome | None:
        seen = _live(replicas, sessions, seconds)
        return seen if seen.final(95) <= P95 and not seen.refused and _has_partials(seen) else None

    low, best, high = 0, Outcome(), around
    while (seen := fits(high)) is not None:
        low, best, high = high, seen, high * 2
    while high - low > max(1, low // 10):
        middle = (low + high) // 2
        if (seen := fits(middle)) is not None:
            low, best = middle, seen
        else:
            high = middle
    return low, best


def _has_partials(seen: Outcome) -> bool:
    return seen.partials >= PARTIALS * len(seen.finals)


def _million(replicas: int, sessions: int) -> Table:
    """What a million needs, with replicas in groups of the largest size that was simulated."""
    cards = -(-MILLION * replicas // sessions)
    cores = MILLION * EDGE_SHARE
    edges = -(-round(cores) // EDGE_CORES)
    each = MILLION / edges
    inward = MILLION * SESSION_KBITS / 1e6
    cost = (cards * PRICES["card"] + cores * PRICES["core"]) / MILLION
    rows = [
        ("cards (replicas)", f"{cards:,}", f"{sessions / replicas:.0f} sessions each"),
        (
            f"edges of {EDGE_CORES} cores",
            f"{edges:,}",
            f"{each:,.0f} sessions each, {EDGE_SHARE:.0%} of a core each",
        ),
        (
            "network to the edges, Gbit/s",
            f"{inward:,.0f}",
            f"{SESSION_KBITS:.0f} kbit/s each, PCM16 in base64",
        ),
        ("network of one edge, Gbit/s", f"{inward / edges:.2f}", "in; what goes out is text"),
        (
            "network to replicas elsewhere, Gbit/s, at most",
            f"{MILLION * ROW_KBITS * ROW_SHARE / 1e6:,.0f}",
            "partials send a growing chunk again and again",
        ),
        ("open files of one edge", f"{each:,.0f}", "a socket each; the server raises its limit itself"),
        (
            "dollars an hour of session",
            f"{cost:.3f}",
            f"a card {PRICES['card']:g}, a core {PRICES['core']:g} an hour",
        ),
    ]
    return Table(f"{MILLION:,} live sessions", ("", "needed", "because"), rows)


ROW_SHARE = 6.0
"""Seconds of rows for a second of a session, partials and finals together, at a step of 0.4 s."""
