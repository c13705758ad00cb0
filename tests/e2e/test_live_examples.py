"""The examples for live captions do what they say."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.speaker import speech
from tests.support import TESTS, LiveServer, Sample

EXAMPLE = TESTS.parent / "client_examples" / "live_captions.py"

pytestmark = pytest.mark.slow


def test_recording(server: LiveServer, samples: dict[str, Sample]) -> None:
    """At the pace of speech: each turn on a line, the last one though no silence follows it."""
    command = [sys.executable, str(EXAMPLE), str(samples["en_nato_8k"].path), server.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout == "Alpha zulu november six.\nQuebec tango kilo nine.\n"


def test_what_comes_back(server: LiveServer, samples: dict[str, Sample], tmp_path: Path) -> None:
    """The example that survives its network says the same, and ends when all is told."""
    audio = tmp_path / "speech.pcm"
    audio.write_bytes(speech(samples["en_hello"].path))
    example = EXAMPLE.with_name("resume_captions.py")
    command = [sys.executable, str(example), str(audio), f"{server.url}/v1"]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)

    # The silence behind it is committed, too, and has no words.
    assert (done.stdout.decode().strip(), done.stderr.decode()) == ("Hello world.", "")
