"""Real recordings keep their words: bounds on errors, each with room for other kernels and batch sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.words.not_yet import NOT_YET

if TYPE_CHECKING:
    from tests.words.judge import Judge

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ENGLISH_ERRORS = 0.083
"""What faster-whisper does best on the same recordings, one after the other, with VAD."""

LONG_ERRORS = 0.09

FALSE_STOPS = 1 / 600
"""For each second: one in ten minutes."""


def test_english(judge: Judge) -> None:
    """All English recordings together."""
    score = judge.score(judge.of("en"))

    assert score.rate <= ENGLISH_ERRORS, score


def test_a_long_recording(judge: Judge) -> None:
    """The longest one, of many chunks."""
    longest = max(judge.of("en"), key=lambda one: len(one.text))

    score = judge.score([longest])

    assert score.rate <= LONG_ERRORS, score


@pytest.mark.parametrize(
    ("language", "errors"),
    [
        ("de", 0.20),
        ("es", 0.20),
        ("fr", 0.40),
        ("it", 0.25),
        ("pt", 0.25),
        ("ru", 0.45),
        ("zh", 0.50),
        ("ja", 0.50),
        ("ko", 0.30),
    ],
)
def test_other_languages(judge: Judge, language: str, errors: float) -> None:
    """They are recognised as what they are, and transcribed, not translated or invented."""
    recordings = judge.of(language)

    score = judge.score(recordings)

    assert score.rate <= errors, score
    longest = max(recordings, key=lambda one: len(one.file))
    assert judge.recording(longest.name).language == language


@NOT_YET
def test_no_full_stop_where_a_sentence_goes_on(judge: Judge) -> None:
    """Joins of chunks leave no full stops behind."""
    recordings = judge.of("en")
    seconds = sum(judge.recording(one.name).duration for one in recordings)

    joins = judge.joins(recordings)

    assert joins.false_stops <= seconds * FALSE_STOPS, joins


@NOT_YET
@pytest.mark.parametrize("way", ["plain", "streamed"])
def test_a_short_sentence_is_whole(judge: Judge, way: str) -> None:
    """Eleven seconds without a single wrong word."""
    jfk = judge.recordings["en_jfk"]

    assert judge.score([jfk], way).wrong == 0, judge.recording(jfk.name, way).text


@pytest.mark.parametrize("way", ["streamed", "block", "fit"])
def test_other_ways(judge: Judge, way: str) -> None:
    """Streams, Whisper's own windows and the shortened context hear about as well as a plain request."""
    recordings = [one for one in judge.of("en") if len(one.text.split()) >= 100][:2]

    plain, other = judge.score(recordings), judge.score(recordings, way)

    assert other.rate <= plain.rate + 0.05, (plain, other)
