"""Folders for unfinished work: whatever ends it, nothing is left for good."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.models.workspace import workspace

_KILLED = """
import os, signal, sys
from pathlib import Path
from gateway.models.workspace import workspace
with workspace(Path(sys.argv[1]), ".import-") as folder:
    (folder / "half").write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.promise("an import that was killed leaves nothing for good")
def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """And nothing else is: neither other folders, nor those that somebody is at work in."""
    (tmp_path / "models--a--b").mkdir()
    subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], check=False)
    left = [path.name for path in tmp_path.glob(".import-*")]
    with workspace(tmp_path, ".import-") as first:
        (first / "half").write_text("mine")
        with workspace(tmp_path, ".import-"):
            assert (first / "half").read_text() == "mine"

    assert len(left) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["models--a--b"]
