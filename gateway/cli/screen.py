"""What people see on stderr while files are transcribed: bars on a terminal, complaints everywhere."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from gateway.cli.common import printable

NAME_WIDTH = 28


class Screen:
    """Bars for the files being transcribed and, where there are several, for all of them.

    Lengths come from the containers' headers: they are shown, and dropped as soon as they turn out wrong.

    Args:
        files: How many there are.
        bars: Show bars; else complaints only.
    """

    def __init__(self, files: int, *, bars: bool) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._files = files
        self._bars = bars
        self._began = time.monotonic()
        self._rows: set[Row] = set()
        self._done = self._heard = 0
        self._done_seconds = 0.0
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            _Computed(_position),
            _Computed(_speed),
            _Computed(_time_left),
            console=self._console,
            transient=True,
            # It would print to stderr what is meant for stdout.
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not bars,
        )
        self._total: Task | None = None

    def open(self) -> AbstractContextManager[object]:
        """Shows the bars until the context is left."""
        return self._progress

    @contextmanager
    def loading(self, model: str) -> Iterator[None]:
        """Says that the model is being loaded."""
        row = self._add(f"loading {model}")
        try:
            yield
        finally:
            self._progress.remove_task(row.id)

    @contextmanager
    def file(self, name: str) -> Iterator["Row"]:
        """A bar for one file."""
        if self._files > 1 and self._total is None:
            self._total = self._add("")
        row = Row(self._add(_short(name)), self._refresh_total)
        self._rows.add(row)
        self._refresh_total()
        try:
            yield row
        finally:
            self._progress.remove_task(row.task.id)
            self._rows.remove(row)
            self._done += 1
            self._heard += row.seconds > 0
            self._done_seconds += row.seconds
            self._refresh_total()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Clears the terminal's last lines for something else that is printed there."""
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()

    def complain(self, line: str) -> None:
        """Prints a line above the bars."""
        self._console.print(line, markup=False, soft_wrap=True)

    def summarize(self) -> None:
        """Says at the end what was done, where bars were shown."""
        if not self._bars or not self._done_seconds:
            return
        took = time.monotonic() - self._began
        files = f"{self._done} files, " if self._files > 1 else ""
        speed = self._done_seconds / took if took else 0.0
        self.complain(f"{files}{clock(self._done_seconds)} of audio in {clock(took)} ({speed:.1f}x)")

    def _add(self, description: str) -> Task:
        task = self._progress.add_task(description, total=None, seconds=0.0, length=None)
        return next(each for each in self._progress.tasks if each.id == task)

    def _refresh_total(self) -> None:
        if self._total is not None:
            self._total.description = f"{self._done} of {self._files} files"
            seconds = self._done_seconds + sum(row.seconds for row in self._rows)
            self._total.fields["seconds"] = self._total.completed = seconds
            self._total.total = self._expected_seconds()

    def _expected_seconds(self) -> float | None:
        """Of all files: those not opened yet are taken to be as long as the others are on average."""
        lengths = [row.length for row in self._rows if row.length is not None]
        known = len(lengths) + self._heard
        if not known:
            return None
        unknown = self._files - self._done - len(lengths)
        return (self._done_seconds + sum(lengths)) * (known + unknown) / known


class Row:
    """One file's bar.

    Attributes:
        seconds: How far into the recording its text is known.
        length: What the recording says it is long, as long as that may be true.
    """

    def __init__(self, task: Task, on_change: Callable[[], None]) -> None:
        self.task = task
        self._on_change = on_change
        self.seconds = 0.0
        self.length: float | None = None

    def announce(self, seconds: float | None) -> None:
        """How long the recording says it is."""
        self.length = seconds
        self.reach(0)

    def reach(self, seconds: float) -> None:
        """The text is known up to here."""
        self.seconds = max(self.seconds, seconds)
        if self.length is not None and self.seconds > self.length + 1:
            self.length = None
        self.task.completed = self.seconds
        self.task.total = self.length
        self.task.fields.update(seconds=self.seconds, length=self.length)
        self._on_change()


class ScreenHandler(logging.Handler):
    """Log records as lines above the bars."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one."""
        self._screen.complain(self.format(record))


class _Computed(ProgressColumn):
    """A column whose text is a function of the task."""

    max_refresh = 0.2

    def __init__(self, text: Callable[[Task], str]) -> None:
        super().__init__()
        self._text = text

    def render(self, task: Task) -> Text:
        return Text(self._text(task), style="none", no_wrap=True)


def _position(task: Task) -> str:
    seconds, length = task.fields["seconds"], task.fields["length"]
    if length:
        return f"{clock(seconds)} / {clock(length)}"
    return clock(seconds) if seconds else ""


def _speed(task: Task) -> str:
    return f"{task.fields['seconds'] / task.elapsed:.1f}x" if task.fields["seconds"] and task.elapsed else ""


def _time_left(task: Task) -> str:
    if not (task.completed and task.elapsed and task.total):
        return ""
    return f"{clock((task.total - task.completed) * task.elapsed / task.completed)} left"


def clock(seconds: float) -> str:
    """``1:02:03`` or ``2:03``."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def _short(name: str) -> str:
    """The end of a path says most."""
    text = printable(name)
    return text if len(text) <= NAME_WIDTH else "…" + text[1 - NAME_WIDTH :]
