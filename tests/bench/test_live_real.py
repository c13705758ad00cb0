"""What is said in the stage of real speech: whole utterances, and short ones between two breaths."""

import numpy as np

from bench.speech import Recording
from bench.stages.live_real import SHORT, phrases_of, short_phrases
from bench.variants import wav
from gateway.audio.types import SAMPLE_RATE
from tests.flow.speech import Script, ScriptedVad

SCRIPT: Script = [(0.0, 0.5), (1.0, 1.0), (0.0, 0.3), (1.0, 4.0), (0.0, 0.3), (1.0, 2.0), (0.0, 1.0)]


def _recording(language: str, seconds: float, *spans: tuple[float, float, str]) -> Recording:
    samples = np.random.default_rng(1).normal(0, 0.1, round(seconds * SAMPLE_RATE)).astype(np.float32)
    return Recording("one", language, "", wav(samples), spans=spans)


def test_utterances_are_cut_out() -> None:
    """Of English recordings that are made of several."""
    several = _recording("en", 3, (0.0, 1.0, "one"), (1.5, 2.0, "two"))
    single = _recording("en", 1, (0.0, 1.0, "one"))
    phrases = phrases_of([several, single, _recording("de", 1, (0.0, 0.5, "eins"), (0.5, 1.0, "zwei"))])

    assert [(phrase.text, phrase.seconds) for phrase in phrases] == [("one", 1.0), ("two", 0.5)]


def test_short_ones() -> None:
    """Those of a second and of two, with what is kept around speech; not the one of four."""
    found = short_phrases(_recording("de", 9.1), ScriptedVad(SCRIPT).as_model())

    assert len(found) == 2
    assert all(SHORT[0] <= phrase.seconds <= SHORT[1] for phrase in found)
