"""What the tests of the commands share: a command line as people have it, apart from their caches."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An empty cache, and a hub that nobody answers for."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "GATEWAY_"))}
    return {
        **kept,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
        "COLUMNS": "200",
        "TERM": "dumb",
    }


@pytest.fixture
def command() -> list[str]:
    """What runs the gateway."""
    return [sys.executable, "-m", "gateway"]


@pytest.fixture
def gateway(environment: dict[str, str], command: list[str], tmp_path: Path) -> Run:
    """Runs a command in an empty folder to its end."""
    folder = tmp_path / "here"
    folder.mkdir()

    def run(
        *arguments: str | Path, stdin: bytes | None = None, **variables: str
    ) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            [*command, *map(str, arguments)],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=120,
            check=False,
            cwd=folder,
            env={**environment, **variables},
        )

    return run
