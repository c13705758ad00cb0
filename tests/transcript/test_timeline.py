"""Seconds of a chunk become those of the recording: pauses come back, words begin where speech does."""

import pytest

from gateway.transcript.timeline import Stretch, Timeline

TWO = Timeline([Stretch(10.0, 12.0, 10.3, 11.8), Stretch(20.0, 23.0, 20.3, 22.8)])
"""Four seconds of speech, and eight of a pause that were left out."""


def test_one_stretch_is_moved() -> None:
    """By its start; what lies outside is put within."""
    plain = Timeline([Stretch.plain(10.0, 20.0)])

    assert [plain.at(seconds) for seconds in (-1.0, 0.0, 2.5, 12.5)] == [10.0, 10.0, 12.5, 20.0]
    assert plain.between(1.0, 2.0) == (11.0, 12.0)


def test_what_was_left_out_comes_back() -> None:
    """From the second stretch on times are later by the pause."""
    assert [TWO.at(seconds) for seconds in (1.9, 2.0, 4.5, 9.0)] == pytest.approx([11.9, 20.0, 22.5, 23.0])


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        ((0.0, 0.8), (10.3, 10.8)),  # begins in the padding
        ((1.9, 2.9), (20.3, 20.9)),  # begins in the padding after the speech before
        ((2.1, 2.9), (20.3, 20.9)),  # begins in the padding before its own
        ((1.0, 1.7), (11.0, 11.7)),  # within speech
        ((1.7, 2.5), (11.7, 20.5)),  # begins before the pause: nothing says where
        ((0.0, 0.2), (10.0, 10.2)),  # all of it lies in the padding
    ],
)
def test_words_begin_where_speech_does(heard: tuple[float, float], said: tuple[float, float]) -> None:
    """If an engine has them begin in the silence before it."""
    assert TWO.between(*heard) == pytest.approx(said)
