"""What was tried with which client, as a page: ``pytest tests/clients --clients docs/clients.md``.

A test is marked with its client: ``@pytest.mark.client("environment", "package", "what is tried")``. A client
that does not work is an expected failure whose reason says why.
"""

import json
from pathlib import Path

import pytest

from tests.clients.environments import version_of

_HEAD = """# Clients that were tried, unchanged

Printed by `pytest tests/clients --clients docs/clients.md`: each line is a test that ran against a real
server, with the miniature model of the tests. How to install them stands in `tests/clients/README.md`.

Restarts are tried as systemd does them, with a port that stays open: LiveKit's plugin takes a
refused connection for the last word, see *Restarts* in the README.

| client | version | what was tried | result |
|---|---|---|---|
"""


class ClientsTable:
    """Collects what became of each client; a pytest plugin.

    Args:
        page: Where they are printed to.
    """

    def __init__(self, page: Path) -> None:
        self._page = page
        self._lines: dict[tuple[str, str, str], str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of one test is over."""
        for name, told in report.user_properties:
            if name != "client" or (report.when != "call" and report.passed):
                continue
            environment, package, what = json.loads(str(told))
            version = version_of(environment, package) if environment else ""
            if report.skipped and not hasattr(report, "wasxfail"):
                result = "not run: not installed"
            elif report.passed:
                result = "works"
            else:
                result = f"does not: {getattr(report, 'wasxfail', '') or 'see the test'}"
            self._lines[package, version or "", what] = result

    def pytest_sessionfinish(self) -> None:
        """Prints what is known."""
        lines = [f"| {' | '.join((*key, result))} |" for key, result in sorted(self._lines.items())]
        self._page.write_text(_HEAD + "\n".join(lines) + "\n", "utf-8")
