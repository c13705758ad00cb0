"""The example for live captions does what it says, with a recording and with a microphone's samples."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.audio.sound import int16, load
from tests.e2e.speaker import speech
from tests.support import TESTS, LiveServer, Sample

EXAMPLE = TESTS.parent / "client_examples" / "live_captions.py"

pytestmark = pytest.mark.slow


def _run(server: LiveServer, source: str, microphone: bytes = b"") -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), source, server.url],
        input=microphone,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_recording(server: LiveServer, samples: dict[str, Sample]) -> None:
    """At the pace of speech: the recording's words, on a line."""
    assert _run(server, str(samples["en_hello"].path)) == "Hello world.\n"


def test_turns(server: LiveServer, samples: dict[str, Sample]) -> None:
    """From standard input: each turn has a line, and the last one its text though no silence follows it."""
    hello = load(samples["en_hello"].path)
    speech = np.concatenate([hello, np.zeros(16_000, np.float32), hello])
    at = np.arange(len(speech) * 3 // 2) * 2 / 3
    pcm = int16(np.interp(at, np.arange(len(speech)), speech).astype(np.float32)).tobytes()

    assert _run(server, "-", pcm) == "Hello world.\nHello world.\n"


def test_nothing_said(server: LiveServer) -> None:
    """No sound and mere silence end it, too, without a line."""
    assert _run(server, "-") == ""
    assert _run(server, "-", bytes(2 * 24_000)) == ""


def test_what_comes_back(server: LiveServer, samples: dict[str, Sample], tmp_path: Path) -> None:
    """The example that survives its network says the same, and ends when all is told."""
    audio = tmp_path / "speech.pcm"
    audio.write_bytes(speech(samples["en_hello"].path))
    example = EXAMPLE.with_name("resume_captions.py")
    command = [sys.executable, str(example), str(audio), f"{server.url}/v1"]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)

    # The silence behind it is committed, too, and has no words.
    assert (done.stdout.decode().strip(), done.stderr.decode()) == ("Hello world.", "")
