"""What the figures of captions count, on a turn that is counted by hand."""

import pytest

from bench.realtime import Item
from bench.stages.live_policy import COLUMNS, Captions
from gateway.transcript import Segment, Transcript, Word


def transcript(*words: tuple[str, float]) -> Transcript:
    """Words, and when each ends."""
    text = "".join(word for word, _ in words).strip()
    spoken = tuple(Word(end - 0.2, end, word, 0.9) for word, end in words)
    segment = Segment(0.0, 9.0, text, (), spoken, -0.1, 1.0, 0.0, 0.0)
    return Transcript(text, "en", ("en",), 9.0, (segment,), ())


def test_a_turn() -> None:
    """Told words count as late as their delta; those the final has otherwise are wrong, not late."""
    deltas = [(1.5, "I scream"), (2.5, " for"), (5.5, " more.")]
    item = Item(0.0, 0.3, 5.0, deltas, 2, 5.5, "Ice cream for more.")
    found = Captions()
    found.add(item, transcript((" I", 0.5), (" stream", 1.0), (" for", 1.5), (" more.", 2.0)))

    assert (found.words, found.early, found.otherwise, found.turns) == (4, 3, 1, 1)
    assert found.lateness == pytest.approx((1.0, 1.0))
    assert found.firsts == (1.2,)
    assert found.finals == (0.5,)
    assert (found.kept, found.kept_blind) == (0, 0)
    assert len(found.row("low")) == len(COLUMNS)


def test_what_is_kept() -> None:
    """To the letter, or but for case and marks."""
    found = Captions()
    for told in ("So it", "so, it"):
        found.add(
            Item(0.0, 0.3, 3.0, [(1.0, told)], 1, 3.0), transcript((" So", 0.5), (" it", 0.7), (" is.", 1.0))
        )

    assert (found.turns, found.kept, found.kept_blind) == (2, 1, 2)


def test_nothing_told() -> None:
    """No share of nothing."""
    found = Captions()
    found.add(Item(0.0, 0.3, 3.0, [], 0, 3.0), transcript((" So", 0.5)))

    assert (found.words, found.early, found.turns) == (1, 0, 0)
    assert found.row("low")[0] == "low"
