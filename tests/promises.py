"""What is promised where things go wrong, as a page: ``pytest -m promise --promises docs/promises.md``.

A test that stands for a promise is marked with it in words: ``@pytest.mark.promise("…")``. Nothing is on the
page that was not tried when it was printed.
"""

import os
from pathlib import Path

import pytest

_EFFORT = ("KILLS", "SOAK_ROUNDS")
"""Variables that make tests try longer."""

_HEAD = """# What is promised, and was tried

Printed by `{command}`: each line is a test that ran for it.

| promise | kept | seconds | test |
|---|---|---|---|
"""


class Promises:
    """Collects what became of each promise; a pytest plugin.

    Args:
        page: Where they are printed to.
    """

    def __init__(self, page: Path) -> None:
        self._page = page
        self._lines: dict[str, tuple[bool, float, str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of one test is over; several tests may stand for one promise."""
        for name, promise in report.user_properties:
            if name == "promise":
                kept, seconds, _ = self._lines.get(str(promise), (True, 0.0, ""))
                where = report.nodeid.partition("[")[0]
                self._lines[str(promise)] = (kept and report.passed, seconds + report.duration, where)

    def pytest_sessionfinish(self) -> None:
        """Prints the page."""
        rows = (
            f"| {promise} | {'yes' if kept else '**no**'} | {seconds:.0f} | `{where}` |\n"
            for promise, (kept, seconds, where) in sorted(self._lines.items())
        )
        self._page.parent.mkdir(parents=True, exist_ok=True)
        effort = "".join(f"{name}={os.environ[name]} " for name in _EFFORT if name in os.environ)
        command = f"{effort}pytest -m promise --promises docs/promises.md"
        self._page.write_text(_HEAD.format(command=command) + "".join(rows))
