"""What a stage is given, and what it finds: tables, targets, plots and notes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from bench import audio
from bench.models import MINIATURE, SIZES, make_model


@dataclass(frozen=True, slots=True)
class Bench:
    """What all stages are given.

    Attributes:
        folder: Keeps models and recordings from run to run.
        quick: Minutes instead of tens of minutes.
        rounds: Of everything that is compared.
    """

    folder: Path
    quick: bool
    rounds: int = 5

    @property
    def models(self) -> list[str]:
        """The miniature; in full also Whisper tiny's dimensions, where the engine is nearly all."""
        return ["miniature"] if self.quick else ["miniature", "tiny"]

    def model(self, name: str = "miniature") -> Path:
        """The miniature, which really transcribes, or random weights of a published Whisper's dimensions."""
        return MINIATURE if name == "miniature" else make_model(self.folder / name, SIZES[name])

    def opus(self, seconds: int, start: int = 0) -> Path:
        """Talk as Ogg Opus of 16 kb/s."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return audio.opus(self.folder / f"talk-{seconds}-{start}.ogg", seconds, start=start)


@dataclass(frozen=True, slots=True)
class Table:
    """A heading, the columns' names and the rows."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def markdown(self) -> str:
        """The first column left, the others right."""
        lines = [self.columns, ("---", *["--:"] * (len(self.columns) - 1)), *self.rows]
        return "\n".join([f"**{self.title}**", "", *(f"| {' | '.join(line)} |" for line in lines)])


@dataclass(frozen=True, slots=True)
class Target:
    """What was to be reached, and what was."""

    text: str
    value: str
    reached: bool

    def markdown(self) -> str:
        """As a list item."""
        return f"- {'reached' if self.reached else 'MISSED'}: {self.text}: {self.value}"


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines by name; x (logarithmic) and y."""

    title: str
    x_label: str
    y_label: str
    lines: Mapping[str, Sequence[tuple[float, float]]]


Finding: TypeAlias = Table | Target | Plot | str
"""A text is a note on the figures."""


def markdown(findings: Sequence[Finding]) -> str:
    """Tables, then targets, then notes; everything but the plots."""
    tables = [finding.markdown() for finding in findings if isinstance(finding, Table)]
    targets = [finding.markdown() for finding in findings if isinstance(finding, Target)]
    notes = [finding for finding in findings if isinstance(finding, str)]
    return "\n\n".join([*tables, *["\n".join(targets)][: len(targets)], *notes])
