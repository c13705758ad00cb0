"""Trimming of synthesised speech, and times of words that the synthesiser reports as one."""

import numpy as np
import pytest

from training.mini_whisper.spoken import SAMPLE_RATE, fill_starts, trim


def tone(before: float, seconds: float, after: float) -> np.ndarray:
    """Silence, a loud part, silence."""
    parts = (np.zeros(int(before * SAMPLE_RATE)), np.ones(int(seconds * SAMPLE_RATE)))
    return np.concatenate([*parts, np.zeros(int(after * SAMPLE_RATE))]).astype(np.float32)


def test_silence_goes_and_times_move_along() -> None:
    """What was said 1 s into the audio is said at once; the last word ends with the audio."""
    said = trim(tone(1.0, 1.0, 1.0), [1.0, 1.5])

    assert said is not None
    assert len(said.audio) == SAMPLE_RATE + 80 + 160 - 1  # what is kept on either side
    assert said.times == [(0.0, 0.505), (0.505, len(said.audio) / SAMPLE_RATE)]


def test_stated_ends_leave_pauses() -> None:
    """With ends given, a word need not reach to the next."""
    said = trim(tone(0.0, 1.0, 0.0), [0.0, 0.5], [0.4, 0.9])

    assert said is not None
    assert said.times == [(0.0, 0.4), (0.5, 1.0)]


def test_nothing_to_hear_is_none() -> None:
    """Silence is no utterance."""
    assert trim(np.zeros(SAMPLE_RATE, np.float32), [0.0]) is None


def test_impossibly_short_word_is_none() -> None:
    """A word of 10 ms is a synthesiser's mistake, and would teach a wrong time."""
    assert trim(tone(0.0, 1.0, 0.0), [0.0, 0.01]) is None


@pytest.mark.parametrize(
    ("words", "starts", "filled"),
    [
        ("stop now", [0.0, 0.5], [0.0, 0.5]),
        ("on the door", [0.0, None, 1.0], [0.0, 0.4, 1.0]),
        ("door on the", [0.0, None, None], [0.0, 4 / 9 * 1.8, 6 / 9 * 1.8]),
        ("on the", [None, 0.5], None),
    ],
)
def test_missing_starts_are_shared_out_by_letters(
    words: str, starts: list[float | None], filled: list[float] | None
) -> None:
    """Up to the next known start or the end (1.8 s); without a first start there is nothing to go by."""
    found = fill_starts(words.split(), starts, 1.8)

    assert found == (None if filled is None else pytest.approx(filled))
