"""Figures from measurements: medians with their range, ratios within a round, sides that take turns."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TypeVar

import numpy as np

_Side = TypeVar("_Side")


def seconds(
    work: Callable[[], object], *, repeats: int = 1, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Of one call: the mean of all repeats."""
    began = clock()
    for _ in range(repeats):
        work()
    return (clock() - began) / repeats


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median and, where there are several, range."""
    middle = f"{median(values):.{digits}f}"
    if len(values) < 2:
        return middle
    return f"{middle} ({min(values):.{digits}f}–{max(values):.{digits}f})"  # noqa: RUF001 - a range


def per_cent(share: float) -> str:
    """A share, or a dash where there is none."""
    return "–" if math.isnan(share) else f"{100 * share:.1f} %"  # noqa: RUF001 - nothing to tell


def percentile(values: Sequence[float], percent: float) -> float:
    """NaN where there are none."""
    return float(np.percentile(values, percent)) if values else math.nan


def percentiles(values: Sequence[float], *percents: float) -> str:
    """Side by side, or a dash where there are none."""
    return " / ".join(f"{percentile(values, percent):.2f}" for percent in percents) if values else "–"  # noqa: RUF001 - the same


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Round by round: what slows one side of a round down slows the other, too."""
    return [a / b for a, b in zip(over, under, strict=True)]


def interleaved(sides: Mapping[_Side, Callable[[], float]], rounds: int) -> dict[_Side, list[float]]:
    """Measures all sides in turn, in every other round backwards, so that no side always goes first."""
    values: dict[_Side, list[float]] = {side: [] for side in sides}
    for number in range(rounds):
        for side in list(sides)[:: -1 if number % 2 else 1]:
            values[side].append(sides[side]())
    return values


def largest(fits: Callable[[int], bool], most: int, *, halvings: int = 2) -> int:
    """The most clients that fit, 0 if none do: doubled until they do not, then the gap is halved so often."""
    low, high = 0, 1
    while high <= most and fits(high):
        low, high = high, 2 * high
    if high > most:
        return low
    for _ in range(halvings):
        middle = (low + high) // 2
        if middle in {low, high}:
            break
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
