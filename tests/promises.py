"""What is promised where things go wrong, as a page: ``pytest -m promise --promises docs/promises.md``.

A test that stands for a promise is marked with it in words: ``@pytest.mark.promise("…")``, and says what it
measured by ``record_property("figure", "…")``. Nothing is on the page that was not tried when it was printed.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_EFFORT = ("KILLS", "SOAK_ROUNDS", "GREEDY")
"""Variables that make tests try longer."""

_HEAD = """# What is promised, and was tried

Printed by `{command}`: each line is a test that ran for it.

| promise | kept | measured | seconds | test |
|---|---|---|---|---|
"""


@dataclass
class _Line:
    """One promise, and what became of its tests."""

    where: str
    kept: bool = True
    seconds: float = 0.0
    figures: list[str] = field(default_factory=list)


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
        if report.skipped:
            return
        told = [str(value) for name, value in report.user_properties if name == "figure"]
        for name, promise in report.user_properties:
            if name == "promise":
                line = self._lines.setdefault(str(promise), _Line(report.nodeid.partition("[")[0]))
                line.kept = line.kept and report.passed
                line.seconds += report.duration
                line.figures += told if report.when == "call" else []

    def pytest_sessionfinish(self) -> None:
        """Prints the page."""
        rows = (
            f"| {promise} | {'yes' if line.kept else '**no**'} | {'; '.join(line.figures)} | "
            f"{line.seconds:.0f} | `{line.where}` |\n"
            for promise, line in sorted(self._lines.items())
        )
        self._page.parent.mkdir(parents=True, exist_ok=True)
        effort = "".join(f"{name}={os.environ[name]} " for name in _EFFORT if name in os.environ)
        command = f"{effort}pytest -m promise --promises docs/promises.md"
        self._page.write_text(_HEAD.format(command=command) + "".join(rows))
