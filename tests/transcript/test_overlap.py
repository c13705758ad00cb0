"""Where one chunk's text goes over to the next one's, of what both heard: nothing lost, nothing twice."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transcript import Segment, Token, Word
from gateway.transcript.overlap import Tail

CUT = 25.0


def said(text: str, start: float, end: float, *, words: bool = True) -> Segment:
    """A segment of words that take the same time each."""
    pieces = [f" {word}" for word in text.split()]
    step = (end - start) / len(pieces)
    return Segment(
        start,
        end,
        "".join(pieces),
        tuple(
            Token(at, token, token.encode(), -0.1)
            for at, piece in enumerate(pieces)
            for token in re.findall(r" ?\w+|[^\w ]+| [^\w]*", piece)
        ),
        tuple(Word(start + at * step, start + (at + 1) * step, piece, 0.9) for at, piece in enumerate(pieces))
        if words
        else (),
        -0.1,
        1.0,
        0.0,
        0.0,
    )


def joined(first: list[Segment], second: list[Segment], *, spaced: bool = True) -> str:
    """The text of both, with the seam shown, and a question mark where it is at no common word."""
    tail = Tail.of(first, CUT, spaced=spaced)
    if tail is None:
        return f"{_text(first)} |? {_text(second)}"
    told = first[: len(first) - len(tail.segments)]
    own, rest, seamless = tail.joined(second)
    for segment in [*own, *rest]:
        assert "".join(token.text for token in segment.tokens) == segment.text
        if segment.words:
            assert "".join(word.text for word in segment.words) == segment.text
    return f"{_text([*told, *own])} |{'' if seamless else '?'} {_text(rest)}"


def _text(segments: list[Segment]) -> str:
    return "".join(segment.text for segment in segments).strip()


def test_the_seam_is_at_a_word_of_both_in_the_middle() -> None:
    """The chunk's end and the next one's beginning, which heard least, are left out."""
    first = said("where beauty lies and thriftless praise how much more prays", 20, 30)
    second = said("Praise! How much more praise deserved thy use", 0, 8)

    assert (
        joined([first], [second])
        == "where beauty lies and thriftless praise how | much more praise deserved thy use"
    )


def test_marks_are_those_of_the_chunk_that_goes_on() -> None:
    """A stop where the first chunk was cut, and the capital after one, are not in the text."""
    first = said("thriftless praise. How much.", 24, 28)
    second = said("praise, how much more", 0, 4)

    assert joined([first], [second]) == "thriftless praise, | how much more"
    assert (
        joined([said("he said the end.", 24, 28)], [said("Said the end, and", 0, 4)])
        == "he said the | end, and"
    )


def test_a_segment_that_ends_before_the_cut_has_no_tail() -> None:
    """What does not reach into the next chunk is done."""
    assert Tail.of([said("the end.", 20, 24.9)], CUT, spaced=True) is None


def test_words_that_differ_come_once() -> None:
    """Where nothing is the same, each chunk has the words that the other did not hear."""
    first = said("one two three four five six", 22, 28)
    second = said("drei vier fünf sechs", 0, 4)

    assert joined([first], [second]) == "one two three |? drei vier fünf sechs"


def test_what_the_next_chunk_leaves_out_is_kept() -> None:
    """It may have missed its beginning, or have heard nothing at all."""
    first = said("one two three four five six", 22, 28)

    assert joined([first], [said("elf zwölf", 4, 6)]) == "one two three four five six |? elf zwölf"
    assert joined([first], []) == "one two three four five six |? "


def test_a_common_word_far_away_is_no_seam() -> None:
    """It would take what lies between along: a word repeated in the next sentence is another one."""
    first = said("the use of thy praise", 21, 25.4)
    second = said("How much more praise deserved", 0, 4)

    assert joined([first], [second]).endswith("How much more praise deserved")


def test_words_before_the_cut_stay() -> None:
    """They are told already, and the next chunk repeats them where their times were guessed too early."""
    first = said("a b c d e f g h i j", 20, 25.5)
    tail = Tail.of([first], CUT, spaced=True)

    assert tail is not None
    assert first.text.encode()[: tail.own] == b" a b c d e f g h i"
    assert joined([first], [said("i j k", 0, 3)]) == "a b c d e f g h i j | k"
    assert joined([first], [said("h i k l", 0, 3)]) == "a b c d e f g h i |? k l"


def test_characters_are_words_where_no_spaces_are_written() -> None:
    """The seam lies between any two of them."""
    first = Segment(
        20.0,
        30.0,
        "秋天總是那麼富有詩",
        (Token(0, "秋天總是那麼富有詩", "秋天總是那麼富有詩".encode(), None),),
        (),
        0,
        1,
        0,
        0,
    )
    second = Segment(
        0.0,
        6.0,
        "那麼富有詩意。",
        (Token(0, "那麼富有詩意。", "那麼富有詩意。".encode(), None),),
        (),
        0,
        1,
        0,
        0,
    )

    text = joined([first], [second], spaced=False)

    assert text.replace(" | ", "") == "秋天總是那麼富有詩意。"


def test_segments_on_both_sides() -> None:
    """Those before the seam stay as they are, and so do those after it."""
    first = [said("one two", 20, 24), said("three four", 24, 26), said("five six", 26, 28)]
    second = [said("three four five", 0, 3, words=False), said("six seven", 3, 5, words=False)]

    assert joined(first, second) == "one two three four | five six seven"


@given(
    st.lists(st.sampled_from("a b c d e f g h".split()), min_size=2, max_size=40),
    st.integers(1, 12),
)
def test_two_windows_on_one_text(words: list[str], shared: int) -> None:
    """The text comes out as it is, however often its words come again."""
    shared = min(shared, len(words))
    cut = len(words) - shared
    before = [f"x{at}" for at in range(20)]
    whole = [*before, *words, "y1", "y2"]
    step = 0.5
    start = CUT - (len(before) + cut) * step
    first = said(" ".join([*before, *words]), start, start + (len(before) + len(words)) * step)
    second = said(" ".join([*words[cut:], "y1", "y2"]), 0, (shared + 2) * step)

    text = joined([first], [second])

    assert text.replace("| ", "").replace("|? ", "").split() == whole, text


@pytest.mark.parametrize("spaced", [True, False])
def test_blank_texts(spaced: bool) -> None:  # noqa: FBT001 - a parameter
    """Marks alone are no word, and no reason to fail."""
    assert joined([said("... !", 24, 28)], [said("- ?", 0, 2)], spaced=spaced)
