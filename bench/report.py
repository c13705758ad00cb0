"""What an experiment says: tables, whether targets were reached, and lines to plot; and what it is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import audio
from bench.models import MINIATURE, SMALL, TINY, make_model
from bench.table import Table


@dataclass(frozen=True, slots=True)
class Bench:
    """What all experiments share.

    Attributes:
        folder: Keeps models and recordings from run to run.
        quick: Minutes instead of tens of minutes.
        rounds: Of everything that is compared.
    """

    folder: Path
    quick: bool
    rounds: int = 5

    def opus(self, seconds: int, start: int = 0) -> Path:
        """Talk as Ogg Opus of 16 kb/s."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return audio.opus(self.folder / f"talk-{seconds}-{start}.ogg", seconds, start=start)

    @property
    def miniature(self) -> Path:
        """Really transcribes; so small that everything else shows."""
        return MINIATURE

    @property
    def tiny(self) -> Path:
        """Random weights of Whisper tiny's dimensions."""
        return make_model(self.folder / "tiny", TINY)

    @property
    def small(self) -> Path:
        """Random weights of Whisper small's dimensions."""
        return make_model(self.folder / "small", SMALL)


@dataclass(frozen=True, slots=True)
class Target:
    """What was to be reached, and what was."""

    text: str
    value: str
    reached: bool

    def line(self) -> str:
        """As a list item."""
        return f"- {'reached' if self.reached else 'MISSED'}: {self.text}: {self.value}"


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines by name; x and y."""

    title: str
    x_label: str
    y_label: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    log_x: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """An experiment's result."""

    tables: Sequence[Table]
    targets: Sequence[Target] = ()
    notes: Sequence[str] = ()
    plots: Sequence[Plot] = field(default=())

    def markdown(self) -> str:
        """Everything but the plots."""
        blocks = [table.markdown() for table in self.tables]
        if self.targets:
            blocks.append("\n".join(target.line() for target in self.targets))
        return "\n\n".join([*blocks, *self.notes])
