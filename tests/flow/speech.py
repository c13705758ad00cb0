"""Scripted speech for live sessions: a detector that follows a script, and what an engine makes of it."""

from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from gateway.audio.silero import FRAME, SileroModel
from gateway.audio.types import SAMPLE_RATE, Chunk, Samples
from gateway.engine.api import DecodeRequest
from gateway.transcript import Hypothesis
from tests.fake_recognizer import WORD_SAMPLES, say

Script: TypeAlias = list[tuple[float, float]]
"""(probability, seconds)"""


class ScriptedVad:
    """In Silero's place: each stream of it follows the script from its beginning, then is silent."""

    def __init__(self, script: Script) -> None:
        self._script = script

    def stream(self) -> "ScriptedStream":
        """From the start."""
        return ScriptedStream(self._script)

    def as_model(self) -> SileroModel:
        """Typed as what it stands for."""
        return cast("SileroModel", self)


class ScriptedStream:
    """A probability for each complete frame."""

    def __init__(self, script: Script) -> None:
        self._probabilities = np.array(
            [p for p, seconds in script for _ in range(round(seconds * SAMPLE_RATE / FRAME))], np.float32
        )
        self._samples = 0
        self._given = 0

    def feed(self, samples: Samples) -> NDArray[np.float32]:
        """As `SileroStream`."""
        self._samples += len(samples)
        given, self._given = self._given, self._samples // FRAME
        known = self._probabilities[given : self._given]
        return np.pad(known, (0, self._given - given - len(known)))


def sound(seconds: float) -> bytes:
    """Noise at 16 kHz, always the same."""
    samples = np.random.default_rng(1).standard_normal(round(seconds * SAMPLE_RATE)) * 3000
    return samples.astype("<i2").tobytes()


def words_of(source: DecodeRequest | Chunk) -> Hypothesis:
    """As many words as half seconds."""
    return say(" ".join(f"w{number}" for number in range(len(source.samples) // WORD_SAMPLES)))
