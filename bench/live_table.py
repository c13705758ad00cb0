"""A run's figures as the rows of a table."""

import math
from collections.abc import Callable, Sequence

from bench.live_figures import percentile
from bench.live_stage import Run
from bench.table import Table


def runs_table(title: str, runs: Sequence[Run]) -> Table:
    """A column for each run."""
    return Table(
        title,
        ("", *(run.name for run in runs)),
        tuple((name, *(value(run) for run in runs)) for name, value in _ROWS.items()),
    )


def per_cent(share: float) -> str:
    """A share, or a dash where there is none."""
    return "–" if math.isnan(share) else f"{100 * share:.1f} %"  # noqa: RUF001 - nothing to tell


def _percentiles(values: Sequence[float], *percents: float) -> str:
    return " / ".join(f"{percentile(values, percent):.2f}" for percent in percents) if values else "–"  # noqa: RUF001 - nothing to tell


_ROWS: dict[str, Callable[[Run], str]] = {
    "final, s: p50 / p95 / p99": lambda run: _percentiles(run.figures.finals, 50, 95, 99),
    "final from the last word, s: p50 / p95": lambda run: _percentiles(run.figures.speech_ends, 50, 95),
    "first text, s: p50 / p95": lambda run: _percentiles(run.figures.firsts, 50, 95),
    "words, s: p50 / p95": lambda run: _percentiles(run.figures.words, 50, 95),
    "between deltas, s: p50": lambda run: _percentiles(run.figures.intervals, 50),
    "finals": lambda run: f"{len(run.figures.finals)}",
    "text before the end": lambda run: per_cent(run.figures.early),
    "begins with released": lambda run: per_cent(run.figures.begins),
    "equals its deltas": lambda run: per_cent(run.figures.equals),
    "partials decoded / dropped": lambda run: f"{run.decoded} / {run.dropped}",
    "word errors live / as files": lambda run: f"{per_cent(run.figures.errors)} / {per_cent(run.files)}",
    "server, CPU ms per stream second": lambda run: f"{run.edge:.1f}",
    "worker, CPU ms per stream second": lambda run: f"{run.worker:.0f}",
    "audio waiting at most, kB": lambda run: f"{run.waiting:.0f}",
    "sessions refused (1013) / broken": lambda run: f"{run.figures.refused} / {run.figures.broken}",
    "finals lost": lambda run: f"{run.figures.lost}",
    "an engine call, s": lambda run: f"{run.batch:.2f}",
    "clients' own delay at most, s": lambda run: f"{run.figures.late:.2f}",
}
