"""What the tests of other people's clients share: each program runs in its client's own environment."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.clients.environments import NODE, ROOT, version_of
from tests.support import TESTS

PROGRAMS = TESTS / "clients" / "programs"
SECONDS = 240

Run = Callable[..., Any]
"""A program's name and arguments; gives what it prints, as JSON."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a test tries travels with its reports."""
    for item in items:
        for mark in item.iter_markers("client"):
            item.user_properties.append(("client", json.dumps(mark.args)))


@pytest.fixture
def environment(request: pytest.FixtureRequest) -> str:
    """The one that the test's mark names, if it is installed."""
    name, package, _ = request.node.get_closest_marker("client").args
    if version_of(name, package) is None:
        pytest.skip(f"{package} is not installed: python tests/clients/environments.py {name}")
    if name in NODE and shutil.which("node") is None:
        pytest.skip("Node.js is not installed: its clients are not tested")
    return str(name)


@pytest.fixture
def command(environment: str) -> Callable[..., list[str]]:
    """What runs a program of the environment."""

    def build(program: str, *arguments: str) -> list[str]:
        folder = ROOT / environment
        if environment not in NODE:
            return [str(folder / "bin" / "python"), str(PROGRAMS / program), *arguments]
        # Node looks for packages beside the program.
        shutil.copy(PROGRAMS / program, folder / program)
        return ["node", str(folder / program), *arguments]

    return build


@pytest.fixture
def run(command: Callable[..., list[str]]) -> Run:
    """Runs a program to its end."""

    def to_end(program: str, *arguments: str) -> Any:
        done = subprocess.run(
            command(program, *arguments),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            # The clients are theirs, not this checkout's.
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout.splitlines()[-1])

    return to_end
