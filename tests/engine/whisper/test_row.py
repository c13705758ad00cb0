"""A row's progress through its windows."""

import numpy as np
import pytest

from gateway.engine.api import DecodeOptions, DecodeRequest
from gateway.engine.whisper.row import Row, Run
from gateway.transcript import Hypothesis, Segment


def row(
    seconds: float = 1.0,
    language: str | None = "en",
    options: DecodeOptions | None = None,
    *,
    whole: bool = True,
    shared: float = 0.0,
) -> Row:
    """A row of silence, whose last ``shared`` seconds the next one has, too."""
    samples = np.zeros(round(seconds * 16000), np.float32)
    request = DecodeRequest(samples, options or DecodeOptions(), whole=whole, shared=round(shared * 16000))
    return Row(request, np.zeros((80, round(seconds * 100)), np.float32), language)


def test_windows_follow_the_seek() -> None:
    """Until what is left holds no word."""
    moving = row()
    moving.seek = 70
    left = moving.window.shape[1]
    unfinished = moving.unfinished
    moving.seek = 81

    assert left == 30
    assert unfinished
    assert not moving.unfinished


def test_a_row_that_need_not_be_whole_says_where_the_next_begins() -> None:
    """Behind its first window, but not without progress. Short rests too are the next row's."""
    moving = row(whole=False)
    told = []
    for seek in (0, 2, 20, 95, 100):
        moving.seek = seek
        told.append((moving.unfinished, moving.hypothesis().consumed))

    assert told == [(True, 0.0), (True, 0.02), (False, 0.2), (False, 0.95), (False, None)]


def test_what_the_next_row_begins_with_is_not_due() -> None:
    """Once the text reaches as far as what only this row hears, or no word lies before that."""
    moving = row(3.0, shared=1.0)
    told = []
    for seek in (0, 100, 179, 181, 210):
        moving.seek = seek
        told.append((moving.unfinished, moving.shares_end))

    assert told == [(True, True), (True, True), (True, True), (False, True), (False, True)]
    assert not row(3.0).shares_end


def test_a_window_before_the_end_shares_nothing() -> None:
    """A half of it, or what is in the first of two languages."""
    moving = row(10.0, shared=1.0)
    moving.runs = [Run(500, "en", 1.0), Run(1000, "de", 1.0)]
    first = moving.shares_end
    moving.seek = 500

    assert (first, moving.shares_end) == (False, True)


def test_a_whole_row_leaves_nothing() -> None:
    """Whatever its windows told."""
    moving = row()
    moving.seek = 95

    assert moving.hypothesis().consumed is None


def test_times_count_from_the_chunk_and_stay_in_it() -> None:
    """Whatever window they were found in."""
    moving = row()
    moving.seek = 50

    assert moving.at(0.25) == pytest.approx(0.75)
    assert moving.at(9.0) == 1.0


def test_seeds_differ_between_windows() -> None:
    """Or each window would draw the same numbers. None where nothing is drawn or nothing need repeat."""
    sampled = row(options=DecodeOptions(temperature=1.0, seed=-1))
    first = sampled.seed
    sampled.seek = 10

    assert first == (2**64 - 1, 0)
    assert sampled.seed == (2**64 - 1, 10)
    assert row(options=DecodeOptions(seed=1)).seed is None
    assert row(options=DecodeOptions(temperature=1.0)).seed is None


def test_a_language_guessed_from_nothing_is_not_told() -> None:
    """A given one is."""
    guessed, given = row(language=None), row(language="de")
    guessed.runs = [Run(100, "ja", 0.4)]

    assert guessed.hypothesis() == Hypothesis((), None, 0.0)
    assert given.hypothesis() == Hypothesis((), "de", 1.0)


def test_a_guess_can_be_taken_back() -> None:
    """In the window that gave it. What was given, or settled by an earlier window, stays."""
    guessed, given, settled = row(language=None), row(language="de"), row(language=None)
    for one in (guessed, settled):
        one.runs = [Run(100, "ja", 0.4)]
    settled.seek = 10
    for one in (guessed, given, settled):
        one.forget_languages()

    assert not guessed.runs
    assert [one.spoken for one in (given, settled)] == ["de", "ja"]


def test_a_window_ends_where_another_language_begins() -> None:
    """The next one is in that; a rest of the first in which no word fits is skipped."""
    moving = row(seconds=3.0, language=None)
    moving.runs = [Run(100, "en", 0.9), Run(300, "de", 0.99)]
    first = moving.spoken, moving.window.shape[1]
    moving.advance(85)

    assert first == ("en", 100)
    assert (moving.seek, moving.spoken, moving.window.shape[1]) == (100, "de", 200)
    assert moving.unfinished


def test_a_window_is_halved_at_the_pause_nearest_to_its_middle() -> None:
    """Once; both halves are in its language, and windows before and after it stay as they are."""
    samples = np.zeros(10 * 16000, np.float32)
    request = DecodeRequest(samples, DecodeOptions(), breaks=(16000 // 2, 4 * 16000, 9 * 16000))
    moving = Row(request, np.zeros((80, 1000), np.float32), "en")
    moving.halve()
    halved = [run.end for run in moving.runs]

    assert halved == [400, 1000]
    assert {run.language for run in moving.runs} == {"en"}
    assert moving.window.shape[1] == 400
    assert moving.halves is None


def test_no_half_is_shorter_than_a_second() -> None:
    """And without a pause there are none."""
    request = DecodeRequest(np.zeros(32000, np.float32), DecodeOptions(), breaks=(8000, 24000))

    assert Row(request, np.zeros((80, 200), np.float32), "en").halves is None
    assert row(seconds=9.0).halves is None


def test_a_row_is_in_the_language_of_the_most_of_it() -> None:
    """However sure each is."""
    mixed = row(seconds=3.0, language=None)
    mixed.runs = [Run(100, "en", 1.0), Run(300, "de", 0.96)]
    mixed.segments.append(Segment(0, 1, " a", (), (), 0, 1, 0, 0))

    assert (mixed.hypothesis().language, mixed.hypothesis().language_probability) == ("de", 0.96)


def test_the_language_must_be_known_before_decoding() -> None:
    """Forgetting to detect it is an error, not a default."""
    with pytest.raises(RuntimeError, match="detected"):
        _ = row(language=None).spoken
