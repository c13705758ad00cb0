"""Figures of sessions."""

import math

import numpy as np
import pytest

from bench.realtime import TRY_AGAIN, Item, Session
from bench.sessions import figures, file_errors
from bench.talk import MARGIN_SECONDS, Phrase, Said

PHRASE = Phrase(
    "Open the door.",
    np.zeros(1, np.float32),
    (("open", 0.5 + MARGIN_SECONDS), ("the", 0.75 + MARGIN_SECONDS), ("door", 1.0 + MARGIN_SECONDS)),
)
SAID = Said(PHRASE, 2.0, 3.0)


def _item(**changes: object) -> Item:
    item = Item(
        audio_start=1.75,
        audio_end=3.5,
        deltas=[(2.75, "Open"), (3.25, " the"), (3.75, " door.")],
        released=2,
        completed=3.75,
        transcript="Open the door.",
    )
    for name, value in changes.items():
        setattr(item, name, value)
    return item


def _session(*items: Item, said: tuple[Said, ...] = (SAID,)) -> Session:
    return Session(said, items=list(items))


def test_lateness_is_counted_from_the_audio() -> None:
    """Finals from the told end and from the true one, first texts from the start, words from their ends."""
    found = figures([_session(_item())])

    assert found.finals == (0.25,)
    assert found.speech_ends == (0.75,)
    assert found.firsts == (1.0,)
    assert found.intervals == (0.5,)
    assert found.words == pytest.approx((0.25, 0.5, 0.75))


def test_a_word_is_told_by_the_delta_that_ends_it() -> None:
    """Half a word is none."""
    found = figures([_session(_item(deltas=[(2.75, "Open th"), (3.25, "e door.")]))])

    assert found.words == pytest.approx((0.25, 0.5, 0.25))


def test_what_was_released_must_begin_the_final() -> None:
    """Deltas behind the end do not count for it, nor finals without released text; for equality all do."""
    kept, broken = _item(), _item(transcript="Open a door.")
    late = _item(transcript="Open that door.", released=1)
    silent = _item(released=0)
    found = figures([_session(kept, broken), _session(late, silent)])

    assert found.begins == pytest.approx(2 / 3)
    assert found.early == 3 / 4
    assert found.equals == 1 / 2


def test_lost_and_broken_are_counted() -> None:
    """A final that never came, an item that failed, and sessions closed by the server."""
    closed = _session(_item())
    closed.closed = 1011
    found = figures([_session(_item(completed=None), _item(completed=None, failed=True)), closed])

    assert found.lost == 2
    assert found.broken == 1
    assert found.refused == 0


def test_refused_sessions_have_no_errors() -> None:
    """What they would have said was never sent: only their number counts."""
    refused = Session((SAID,), closed=TRY_AGAIN)
    found = figures([_session(_item()), refused])

    assert found.refused == 1
    assert found.broken == 0
    assert found.errors == 0


def test_lost_tails_are_errors() -> None:
    """The truth is all that was said, whether an item came of it or not."""
    twice = (SAID, Said(PHRASE, 4.0, 5.0))

    assert figures([_session(_item(), said=twice)]).errors == 0.5
    assert figures([_session(_item(transcript="open the floor"))]).errors == pytest.approx(1 / 3)


def test_files_are_measured_alike() -> None:
    """The same phrases as often as they were said."""
    assert file_errors([_session(_item(), said=(SAID, SAID))], {PHRASE.text: "Open door"}) == pytest.approx(
        1 / 3
    )


def test_nothing_has_no_figures() -> None:
    """No division by zero."""
    found = figures([])

    assert math.isnan(found.begins)
    assert math.isnan(found.errors)
    assert not found.finals
