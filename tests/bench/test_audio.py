"""Recordings of the length asked for."""

from pathlib import Path

import numpy as np
import pytest

from bench import audio
from gateway.audio.types import SAMPLE_RATE


def test_long_recordings_repeat_short_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is as long as it should be, and as loud in its last repetition as in its first."""
    monkeypatch.setattr(audio, "LOOP_SECONDS", 4)
    samples = audio.load(audio.opus(tmp_path / "talk.ogg", 10))
    first, last = samples[SAMPLE_RATE : 2 * SAMPLE_RATE], samples[9 * SAMPLE_RATE :]

    assert abs(len(samples) / SAMPLE_RATE - 10) < 0.1
    assert 0.5 < np.std(last) / np.std(first) < 2


def test_pauses_are_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause is longer than asked, and two starts give two recordings."""
    monkeypatch.setattr(audio, "PAUSE_SECONDS", 0.3)
    talk = audio.speech(20)
    loud = np.flatnonzero(np.abs(talk) > 0.02)

    assert np.diff(loud).max() < 0.6 * SAMPLE_RATE
    assert len(talk) == 20 * SAMPLE_RATE
    assert not np.array_equal(talk, audio.speech(20, start=1))
