"""OpenAI's documented code for speakers, held in the examples, runs as it is: Python and Node."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.audio.sound import Encoding, encode, load
from tests.support import TESTS, LiveServer, Sample

EXAMPLES = TESTS.parent / "client_examples"

pytestmark = pytest.mark.slow


@pytest.fixture
def reference(samples: dict[str, Sample], tmp_path: Path) -> Path:
    """Some seconds of the voice that speaks in the recording."""
    path = tmp_path / "agent.wav"
    speech = np.tile(load(samples["en_hello"].path), 3)[: 4 * 16_000]
    path.write_bytes(encode(speech, Encoding("wav", "pcm_s16le", 16_000)))
    return path


def _run(*command: str, cwd: Path | None = None) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_python(server: LiveServer, samples: dict[str, Sample], reference: Path) -> None:
    """Each segment with its speaker, who has a name where the voice is known."""
    example, file = str(EXAMPLES / "who_spoke.py"), str(samples["en_hello"].path)

    (stranger,) = _run(sys.executable, example, file, server.url)
    (known,) = _run(sys.executable, example, file, server.url, f"Agent={reference}")

    assert stranger.startswith("A Hello world. ")
    assert known.startswith("Agent Hello world. ")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("who_spoke.mjs", "Agent: Hello world. "), ("who_spoke_streamed.mjs", "Agent Hello world. ")],
)
def test_node(
    node: Path, server: LiveServer, samples: dict[str, Sample], reference: Path, name: str, expected: str
) -> None:
    """The same by the official Node client, whose documented code has the references in ``extra_body``."""
    example = node / name
    example.write_text((EXAMPLES / name).read_text("utf-8"), "utf-8")
    try:
        (known,) = _run(
            "node", name, str(samples["en_hello"].path), server.url, "Agent", str(reference), cwd=node
        )
    finally:
        example.unlink()

    assert known.startswith(expected)
