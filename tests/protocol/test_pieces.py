"""Text is cut where subtitles may break, and each piece knows when it was said."""

from itertools import pairwise

import pytest

from gateway.protocol.pieces import (
    ANYWHERE,
    AT_PAUSE,
    BEFORE_PHRASE,
    CLAUSE_END,
    INSIDE_PHRASE,
    SENTENCE_END,
    pieces_of,
    seam,
    tidy,
    width_of,
)
from gateway.transcript import Segment, Word


def segment(
    text: str,
    start: float = 0.0,
    end: float = 10.0,
    words: tuple[tuple[str, float, float], ...] = (),
    speaker: str | None = None,
) -> Segment:
    """A segment with the parts that matter here."""
    timed = tuple(Word(begin, stop, word, 1.0) for word, begin, stop in words)
    return Segment(start, end, text, (), timed, -0.1, 1.0, 0.0, 0.0, speaker)


def texts(text: str, max_width: int = 42) -> list[str]:
    """The pieces of a text, without times."""
    return [piece.text for piece in pieces_of([segment(text)], max_width)]


def seams(text: str) -> list[int]:
    """The price of each break in a text."""
    pieces = pieces_of([segment(text)], 42)
    return [seam(left, right) for left, right in pairwise(pieces)]


def test_tidy_leaves_one_line() -> None:
    """White space of every kind and control characters become one space; French no-break spaces stay."""
    assert tidy(" a\r\n\nb\u2028c\x00\x1bd\ufeff ") == "a b c d"
    assert tidy("Ça va\u202f?") == "Ça va\u202f?"


@pytest.mark.parametrize(
    ("text", "width"),
    [("abc", 3), ("Größe", 5), ("e\u0301", 1), ("你好", 4), ("한국", 4), ("ｱ", 1), ("👍🏽", 4)],
)
def test_width_counts_columns(text: str, width: int) -> None:
    """Wide characters take two columns, combining accents none."""
    assert width_of(text) == width


def test_spaced_text_breaks_at_spaces_only() -> None:
    """Words, hyphens and apostrophes stay whole."""
    assert texts(" Don't say state-of-the-art!") == ["Don't", "say", "state-of-the-art!"]
    assert texts("no \u202f break") == ["no", "break"]


def test_lone_punctuation_joins_its_word() -> None:
    """French spacing and lone brackets leave no line that begins or ends with them."""
    assert texts("Il dit : « Ça va ? » ¿ Qué ?") == ["Il", "dit :", "« Ça", "va ? »", "¿ Qué ?"]


def test_dialogue_dash_begins_a_piece() -> None:
    """A dash belongs to what follows as often as to what precedes."""
    assert texts("Hi. - Hello.") == ["Hi.", "-", "Hello."]


def test_unspaced_writing_breaks_between_characters() -> None:
    """No line begins with closing punctuation or a small kana, none ends with an opening bracket."""
    assert texts("他说「你好。」") == ["他", "说", "「你", "好。」"]
    assert texts("ちょっと") == ["ちょっ", "と"]
    assert texts("เวลา") == ["เว", "ลา"]


def test_unspaced_writing_with_words_breaks_between_these() -> None:
    """The engine's words are better places than characters."""
    words = (("今天", 0.0, 1.0), ("天气", 1.0, 2.0), ("很好。", 2.5, 3.0))

    pieces = pieces_of([segment("今天天气很好。", words=words)], 42)

    assert [(piece.text, piece.start, piece.end) for piece in pieces] == [
        ("今天", 0, 1000),
        ("天气", 1000, 2000),
        ("很好。", 2500, 3000),
    ]


def test_too_wide_word_is_cut_between_letters() -> None:
    """An accent stays with its letter, a joined emoji stays whole, nothing is lost."""
    assert texts("a" * 10, 8) == ["a" * 8, "aa"]
    assert texts("e\u0301" * 9, 8) == ["e\u0301" * 8, "e\u0301"]
    assert texts("aaaaaaa👩‍💻", 8) == ["aaaaaaa", "👩‍💻"]
    assert texts("aaaaa👩‍💻", 8) == ["aaaaa", "👩‍💻"]
    assert texts("aaaaaaaक" + "ा" * 9, 8) == ["aaaaaaa", "क" + "ा" * 7, "ा" * 2]


def test_times_come_from_words() -> None:
    """Words without their punctuation are found too; what no word covers lies between its neighbours."""
    words = (("Well", 1.0, 1.4), ("said", 3.0, 3.5))

    pieces = pieces_of([segment(' "Well," he said.', 0, 9, words)], 42)

    assert [(piece.text, piece.start) for piece in pieces] == [
        ('"Well,"', 1000),
        ("he", 2200),
        ("said.", 3000),
    ]
    assert pieces[0].end == 1400
    assert pieces[2].end == 3500


def test_times_without_words_are_shared_by_length() -> None:
    """An engine without word times: each character takes its share of the segment."""
    pieces = pieces_of([segment("aaaa bbbb.", 10, 19)], 42)

    assert [(piece.start, piece.end) for piece in pieces] == [(10_000, 15_000), (15_000, 19_000)]


def test_segment_without_letters_has_its_times() -> None:
    """Notes and dashes are text as well."""
    pieces = pieces_of([segment("♪ ♪", 1, 4)], 42)

    assert [(piece.start, piece.end) for piece in pieces] == [(1000, 2000), (3000, 4000)]


def test_noisy_times_run_forwards() -> None:
    """Words out of order, outside their segment or inside one another, segments that overlap."""
    first = segment("a b c", 0, 3, (("a", 2.0, 2.5), ("b", 0.5, 9.0), ("c", -1.0, 1.0)))
    second = segment("d", 1, 0.5, (("d", 1.0, 0.2),))

    pieces = pieces_of([first, second], 42)

    assert [piece.text for piece in pieces] == list("abcd")
    assert [(piece.start, piece.end) for piece in pieces] == [
        (0, 500),
        (1000, 2000),
        (2500, 3000),
        (2500, 2500),
    ]


def test_word_that_is_not_in_the_text_has_no_say() -> None:
    """An engine's words may be more than its text; a like word far behind is another one."""
    words = (("uh", 0.0, 0.1), ("yes", 1.0, 1.5), ("", 1.5, 1.5), ("end", 1.6, 1.7))

    pieces = pieces_of([segment("yes, this is a long way to the end", 0, 9, words)], 42)

    assert (pieces[0].start, pieces[0].end) == (1000, 1500)
    assert pieces[-1].start == 1500


def test_segments_are_spaced_as_their_writing_is() -> None:
    """English segments without a leading space still get one, Chinese ones do not."""
    assert [piece.spaced for piece in pieces_of([segment("a"), segment("b")], 42)] == [True, True]
    assert [piece.spaced for piece in pieces_of([segment("你"), segment("好")], 42)] == [False, False]


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("one. Two", SENTENCE_END),
        ("one?” Two", SENTENCE_END),
        ("好。你", SENTENCE_END),
        ("wirklich? fragte", CLAUSE_END),
        ("one, two", CLAUSE_END),
        ("one \u2013 two", CLAUSE_END),
        ("Mr. Smith", ANYWHERE),
        ("3. Oktober", ANYWHERE),
        ("usw. so", BEFORE_PHRASE),
        ("stay with", BEFORE_PHRASE),
        ("the door", INSIDE_PHRASE),
        ("red door", ANYWHERE),
    ],
)
def test_seam_knows_where_sense_breaks(text: str, price: int) -> None:
    """Sentences before clauses before phrases; abbreviations and ordinals end no sentence."""
    assert seams(text)[-1] == price


def test_pause_is_a_place_to_break() -> None:
    """Half a second of silence is worth more than the words around it."""
    words = (("the", 0.0, 0.2), ("door", 0.7, 1.0))
    pieces = pieces_of([segment("the door", 0, 1, words)], 42)

    assert seam(pieces[0], pieces[1]) == AT_PAUSE
