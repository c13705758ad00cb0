"""What is promised where things go wrong, as a page: ``pytest -m promise --promises=docs/promises.md``.

A test that stands for a promise is marked with it in words: ``@pytest.mark.promise("…")``, and says what it
measured by ``record_property("figure", "…")``. What was skipped, or not in the run, is not told as kept.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_EFFORT = ("KILLS", "MALFORMED", "SOAK_ROUNDS", "GREEDY")
"""Variables that make tests try longer."""

_HEAD = """# What is promised, and was tried

Printed by `{command}`: each line is a test for it.

| promise | kept | measured | seconds | test |
|---|---|---|---|---|
"""


@dataclass
class _Line:
    """One promise, and what became of its tests."""

    where: str
    failed: bool = False
    tried: bool = False
    seconds: float = 0.0
    figures: list[str] = field(default_factory=list)

    @property
    def kept(self) -> str:
        """As the page has it. A test that was skipped has tried nothing, though it was set up."""
        if self.failed:
            return "**no**"
        return "yes" if self.tried else "not tried"


class Promises:
    """Collects what became of each promise; a pytest plugin.

    Args:
        page: Where they are printed to.
    """

    def __init__(self, page: Path) -> None:
        self._page = page
        self._lines: dict[str, _Line] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of one test is over; several tests may stand for one promise."""
        told = [str(value) for name, value in report.user_properties if name == "figure"]
        for name, promise in report.user_properties:
            if name == "promise":
                line = self._lines.setdefault(str(promise), _Line(report.nodeid.partition("[")[0]))
                line.failed |= report.failed
                line.seconds += report.duration
                if report.when == "call" and not report.skipped:
                    line.tried = True
                    line.figures += told

    def pytest_sessionfinish(self) -> None:
        """Prints the page."""
        rows = (
            f"| {promise} | {line.kept} | {'; '.join(line.figures)} | {line.seconds:.0f} | `{line.where}` |\n"
            for promise, line in sorted(self._lines.items())
        )
        self._page.parent.mkdir(parents=True, exist_ok=True)
        effort = "".join(f"{name}={os.environ[name]} " for name in _EFFORT if name in os.environ)
        command = f"{effort}pytest -m promise --promises=docs/promises.md"
        self._page.write_text(_HEAD.format(command=command) + "".join(rows))
