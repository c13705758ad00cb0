"""What a gateway in front of another one adds to each chunk: one model, served directly and through it."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

from bench.server import RunningServer, cpu_seconds, serve
from bench.stage import Bench, Finding, Table, Target
from bench.stats import interleaved, spread

LENGTHS = (3, 10, 25)
"""Seconds; each is one chunk, and from 5 s of speech on a preview before it."""

REPEATS = 5
"""Uploads of each kind in a round, one after the other."""

LIMIT_MS = 10.0


def run(bench: Bench) -> Iterator[Finding]:
    """The miniature, so that the engine hides nothing."""
    rows = []
    added = []
    with (
        serve(bench.model(), GATEWAY_LANES="1") as behind,
        serve(None, GATEWAY_MODEL=f"front=openai:http://127.0.0.1:{behind.port}/v1#model") as front,
    ):
        for length in LENGTHS:
            file = bench.opus(length)
            before = front.metrics().rows
            front.upload(file)
            chunks = front.metrics().rows - before
            behind.upload(file)
            sides = {"direct": partial(_timed, behind, file), "through": partial(_timed, front, file)}
            measured = interleaved(sides, bench.rounds if bench.quick else 3 * bench.rounds)
            # Round by round: what slows one side of a round down slows the other, too.
            pairs = zip(measured["through"], measured["direct"], strict=True)
            extra = [1000 * (through - direct) / chunks for through, direct in pairs]
            added.append(median(extra))
            began = cpu_seconds(front.edge), cpu_seconds(behind.edge)
            for _ in range(REPEATS):
                front.upload(file)
            ended = cpu_seconds(front.edge), cpu_seconds(behind.edge)
            cpu = [1000 * (end - begin) / REPEATS / chunks for begin, end in zip(began, ended, strict=True)]
            rows.append(
                (
                    f"{length} s",
                    f"{chunks:.0f}",
                    *(spread([1000 * each for each in measured[side]], 0) for side in sides),
                    spread(extra, 1),
                    *(f"{each:.0f}" for each in cpu),
                )
            )
    columns = (
        *("recording", "chunks", "direct, ms", "through, ms", "added to a chunk, ms"),
        *("CPU of the front for a chunk, ms", "CPU of the one behind, without its worker, ms"),
    )
    yield Table("Opus 16 kb/s, miniature, one client", columns, rows)
    worst = max(added)
    yield Target(
        f"a gateway in front adds at most {LIMIT_MS:g} ms to a chunk at the median, of any length",
        ", ".join(f"{each:.1f}" for each in added) + " ms",
        worst <= LIMIT_MS,
    )


def _timed(server: RunningServer, file: Path) -> float:
    """Seconds of an upload."""
    return median(server.upload(file).seconds for _ in range(REPEATS))
