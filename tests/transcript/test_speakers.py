"""Whose words: segments split at turns between words, nothing of the text lost, and letters in order."""

import pytest

from gateway.transcript.speakers import SpeakerNames, Turn, attribute
from gateway.transcript.types import Hypothesis, Segment, Token, Word


def _segment(*words: tuple[float, float, str], split: bool = False) -> Segment:
    """Each word a token, or two where they are ``split``."""
    text = "".join(word for _, _, word in words)
    pieces = [part for _, _, word in words for part in ((word[:2], word[2:]) if split else (word,)) if part]
    tokens = tuple(Token(at, piece, piece.encode(), -0.1) for at, piece in enumerate(pieces))
    timed = tuple(Word(start, end, word, 0.9) for start, end, word in words)
    return Segment(words[0][0], words[-1][1] + 0.2, text, tokens, timed, -0.1, 1.0, 0.0, 0.0)


def _attributed(segment: Segment, *turns: Turn) -> list[tuple[str | None, str]]:
    hypothesis = Hypothesis((segment,), "en", 1.0)
    return [(part.speaker, part.text) for part in attribute(hypothesis, turns, SpeakerNames()).segments]


_WORDS = ((0.0, 0.5, " Are"), (0.5, 1.0, " you?"), (1.1, 1.5, " Yes,"), (1.6, 2.0, " I"), (2.0, 2.5, " am."))


@pytest.mark.parametrize("split", [False, True])
def test_a_segment_is_split_at_turns(*, split: bool) -> None:
    """A question and its answer in one segment become two; text, tokens and words stay whole."""
    segment = _segment(*_WORDS, split=split)
    turns = (Turn(0.0, 1.05, 5), Turn(1.05, 2.5, 2))

    parts = attribute(Hypothesis((segment,), "en", 1.0), turns, SpeakerNames()).segments

    assert [(part.speaker, part.text) for part in parts] == [("A", " Are you?"), ("B", " Yes, I am.")]
    assert [(part.start, part.end) for part in parts] == [(0.0, 1.0), (1.1, 2.7)]
    assert tuple(token for part in parts for token in part.tokens) == segment.tokens
    assert tuple(word for part in parts for word in part.words) == segment.words
    assert all(b"".join(token.raw for token in part.tokens).decode() == part.text for part in parts)


def test_words_between_turns() -> None:
    """A word takes the turn that it is longest in; where nobody speaks, the nearest."""
    turns = (Turn(0.0, 0.4, 0), Turn(1.45, 2.4, 1))

    assert _attributed(_segment(*_WORDS), *turns) == [("A", " Are you?"), ("B", " Yes, I am.")]
    assert _attributed(_segment((5.0, 5.5, " Late")), *turns) == [("A", " Late")]


def test_words_that_do_not_join_are_not_split() -> None:
    """Where words and tokens say different things, the segment has whoever speaks most of it."""
    segment = _segment(*_WORDS)
    broken = Segment(0.0, 2.7, " Are you? Yes", segment.tokens[:2], segment.words, -0.1, 1.0, 0.0, 0.0)

    assert _attributed(broken, Turn(0.0, 1.05, 0), Turn(1.05, 2.5, 1)) == [("A", " Are you? Yes")]


def test_segments_without_words() -> None:
    """An engine without word times: one speaker for each segment."""
    segment = Segment(0.0, 2.0, " Hello", (Token(0, " Hello", b" Hello", None),), (), -0.1, 1.0, 0.0, 0.0)

    assert _attributed(segment, Turn(0.0, 0.5, "Ann"), Turn(0.5, 2.0, "Bo")) == [("Bo", " Hello")]


def test_no_turns() -> None:
    """No voice was told in the chunk: whoever spoke last goes on, for each segment must have a speaker."""
    names = SpeakerNames()
    silent = Hypothesis((_segment(*_WORDS),), "en", 1.0)
    before = attribute(silent, [], names).segments[0].speaker
    spoken = attribute(silent, [Turn(0, 3, 4)], names).segments[0].speaker
    after = attribute(silent, [], names).segments[0].speaker

    assert (before, spoken, after) == ("A", "B", "B")


def test_names() -> None:
    """Letters in order of asking, beyond Z too, and none that a known speaker has."""
    names = SpeakerNames(["B", "Ann"])

    assert [names.name(speaker) for speaker in (7, 3, 7, "Ann", 1)] == ["A", "C", "A", "Ann", "D"]
    assert [names.name(speaker) for speaker in range(100, 126)][-4:] == ["AA", "AB", "AC", "AD"]
