"""Turns of one phrase and of several."""

from itertools import pairwise

import numpy as np
import pytest

from bench.live_turns import make_turns
from bench.talk import BREATHS, TAIL_SECONDS, Phrase
from gateway.audio.types import SAMPLE_RATE

PHRASES = [Phrase(f"tone {n}", np.full(16_000, 0.5, np.float32), (("tone", 0.4),)) for n in range(6)]


def test_there_is_speech_where_it_is_said() -> None:
    """There, and only there, it is loud; the end is silent long enough to end the utterance."""
    for turn in make_turns(PHRASES, 4):
        loud = np.abs(turn.samples) > 0.1
        spoken = np.zeros(len(loud), bool)
        for said in turn.said:
            spoken[round((said.start - 0.2) * SAMPLE_RATE) : round((said.end + 0.2) * SAMPLE_RATE)] = True

        assert np.mean(loud == spoken) > 0.999
        assert turn.said[-1].end + TAIL_SECONDS < len(loud) / SAMPLE_RATE


def test_phrases_are_joined_by_breaths() -> None:
    """Two of them or three, half as many turns as have one."""
    turns = make_turns(PHRASES, 4)
    breaths = [b.start - a.end for turn in turns for a, b in pairwise(turn.said)]

    assert [len(turn.said) for turn in turns] == [1, 1, 1, 1, 2, 3]
    assert all(BREATHS[0] <= breath <= BREATHS[1] for breath in breaths)


def test_phrases_are_taken_evenly_and_alike() -> None:
    """All of them where there is room; the same turns each time."""
    first, second = make_turns(PHRASES, 6), make_turns(PHRASES, 6)

    assert [turn.said[0].phrase for turn in first[:6]] == PHRASES
    assert first[6].said[0].start == pytest.approx(second[6].said[0].start)
    assert np.array_equal(first[8].samples, second[8].samples)
