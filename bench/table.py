"""Figures as text: medians with their range, ratios within a round, Markdown tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Table:
    """A heading, the columns' names and the rows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """The first column left, the others right."""
        lines = [self.columns, ("---", *["--:"] * (len(self.columns) - 1)), *self.rows]
        return "\n".join([f"**{self.title}**", "", *(f"| {' | '.join(line)} |" for line in lines)])


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median and, where there are several, range."""
    middle = f"{median(values):.{digits}f}"
    if len(values) < 2:
        return middle
    return f"{middle} ({min(values):.{digits}f}–{max(values):.{digits}f})"  # noqa: RUF001 - a range


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Round by round: what slows one side of a round down slows the other, too."""
    return [a / b for a, b in zip(over, under, strict=True)]


def interleaved(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measures all sides in turn, in every other round backwards, so that no side always goes first."""
    values: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in sorted(sides, key=list(sides).index, reverse=number % 2 == 1):
            values[name].append(sides[name]())
    return values
