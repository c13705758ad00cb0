"""No dependency phones home: ONNX Runtime's wheel would, from 1.32 on, unless it is told not to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_HEAR = """
import numpy as np
from gateway.audio.silero import SileroModel
stream = SileroModel.load().stream()
stream.feed(np.zeros(16_000, np.float32))
stream.flush()
"""


def _run(home: Path, **variables: str) -> list[str]:
    """Detects speech in a process of its own, and returns the files that it left."""
    home.mkdir()
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "ORT_DISABLE_TELEMETRY" and not name.startswith("XDG_")
    }
    subprocess.run(
        [sys.executable, "-c", _HEAR],
        env={**kept, "HOME": str(home), "TMPDIR": str(home), "PYTHONDONTWRITEBYTECODE": "1", **variables},
        check=True,
        timeout=120,
    )
    return [path.name for path in home.rglob("*") if path.is_file()]


@pytest.mark.slow
def test_onnx_runtime_keeps_to_itself(tmp_path: Path) -> None:
    """Without a word from the operator it leaves no device id and no events to send.

    The control shows where they would be, with versions that have them.
    """
    control = _run(tmp_path / "control", ORT_DISABLE_TELEMETRY="0")
    found = _run(tmp_path / "ours")

    assert found == []
    if not control:
        pytest.skip("this version of ONNX Runtime gathers nothing")
