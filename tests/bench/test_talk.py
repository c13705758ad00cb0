"""Talk of known words."""

import base64
import json
from itertools import pairwise

import numpy as np
import pytest

from bench.talk import (
    BREATHS,
    MARGIN_SECONDS,
    PAUSES,
    RATE,
    STEP_SECONDS,
    TAIL_SECONDS,
    Phrase,
    make_talk,
    one_by_one,
    phrases,
    silence,
)

PHRASES = [
    Phrase(f"tone {number}", np.full(16_000, 0.5, np.float32), (("tone", 0.4), (f"{number}", 0.8)))
    for number in range(3)
]


def _sent(frames: tuple[str, ...]) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    data = b"".join(base64.b64decode(json.loads(frame)["audio"]) for frame in frames)
    return np.frombuffer(data, "<i2")


def test_a_talk_is_what_it_says_and_when() -> None:
    """All of its audio is sent; where a phrase is said, and only there, it is loud; its end is silent."""
    talk = make_talk(PHRASES, 10, 1)
    samples = np.abs(_sent(talk.frames).astype(float))
    loud = np.zeros(len(samples), bool)
    for said in talk.said:
        loud[round((said.start - MARGIN_SECONDS) * RATE) : round((said.end + MARGIN_SECONDS) * RATE)] = True

    assert len(samples) == 10 * RATE
    assert talk.seconds == 10
    assert len(talk.said) > 1
    assert np.mean((samples > 5_000) == loud) > 0.999
    assert talk.said[-1].end + MARGIN_SECONDS <= 10 - TAIL_SECONDS


def test_pauses_are_within_turns_or_between_them() -> None:
    """From a phrase's true end to the next one's beginning; nothing between, which may end a turn or not."""
    said = make_talk(PHRASES, 60, 2).said
    pauses = [later.start - sooner.end for sooner, later in pairwise(said)]

    assert all(any(low <= pause <= high for low, high in (BREATHS, PAUSES)) for pause in pauses)
    assert min(pauses) < BREATHS[1]
    assert max(pauses) > PAUSES[0]


def test_words_have_their_times_in_the_talk() -> None:
    """A phrase's word times count from its samples, margin included."""
    said = make_talk(PHRASES, 10, 0).said[0]

    start = said.start - MARGIN_SECONDS

    assert [word for word, _ in said.words] == ["tone", "0"]
    assert [end for _, end in said.words] == pytest.approx([start + 0.4, start + 0.8])


def test_clients_do_not_speak_in_lock_step() -> None:
    """Another number begins with another phrase at another time; the same number is the same talk."""
    first, second = (make_talk(PHRASES, 10, number) for number in (0, 1))

    assert first.said[0].phrase != second.said[0].phrase
    assert first.said[0].start != second.said[0].start
    assert make_talk(PHRASES, 10, 0).frames == first.frames


def test_the_samples_give_phrases() -> None:
    """Each has its words, in order, within its samples, and can be uploaded."""
    found = phrases()

    assert len(found) > 20
    for phrase in found:
        ends = [end for _, end in phrase.words]
        assert ends == sorted(ends)
        assert ends[-1] + MARGIN_SECONDS == pytest.approx(len(phrase.samples) / 16_000, abs=0.02)
        assert phrase.wav()[:4] == b"RIFF"


def test_silence_is_a_quiet_room() -> None:
    """Not zeros, which no microphone gives; and nothing is said."""
    talk = silence(2)

    assert not talk.said
    assert len(talk.frames) == round(2 / STEP_SECONDS)
    assert 0 < np.abs(_sent(talk.frames)).max() < 100


TONES = [Phrase(f"tone {n}", np.full(16_000, 0.5, np.float32), (("tone", 0.4),)) for n in range(6)]


def test_there_is_speech_where_it_is_said() -> None:
    """There, and only there, it is loud; the end is silent long enough to end the utterance."""
    for turn in (make_talk(TONES, 20, number) for number in range(4)):
        loud = np.abs(turn.samples) > 0.1
        spoken = np.zeros(len(loud), bool)
        for said in turn.said:
            spoken[round((said.start - 0.2) * 16_000) : round((said.end + 0.2) * 16_000)] = True

        assert np.mean(loud == spoken) > 0.999
        assert turn.said[-1].end + TAIL_SECONDS < len(loud) / 16_000


def test_one_by_one() -> None:
    """Each once, in their order, and each a turn: the pauses between them end one."""
    talk = one_by_one(PHRASES)
    pauses = [later.start - sooner.end for sooner, later in pairwise(talk.said)]

    assert [said.phrase for said in talk.said] == PHRASES
    assert all(pause > PAUSES[0] for pause in pauses)
    assert talk.seconds > talk.said[-1].end + TAIL_SECONDS
