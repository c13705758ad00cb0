"""Words of an upstream are found again in its text, with the marks and spaces that they left out."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.engine.upstream.words import Timed, words_in

TEXT = " Well, it's \"odd\". It's it!"


def timed(*texts: str) -> list[Timed]:
    """Words of a second each."""
    return [Timed(text, float(at), at + 1.0) for at, text in enumerate(texts)]


def test_marks_and_spaces() -> None:
    """Each word has the space before it and the marks around it."""
    [words] = words_in(TEXT, timed("Well", "it's", "odd", "It's", "it"), [len(TEXT)], 0.5)

    assert [word.text for word in words] == [" Well,", " it's", ' "odd".', " It's", " it!"]
    assert [(word.start, word.probability) for word in words] == [(at, 0.5) for at in range(5)]


def test_parts() -> None:
    """A part's words join to it; one without words has none."""
    cut = len(' Well, it\'s "odd".')
    first, second = words_in(TEXT, timed("Well", "it's", "odd", "It's", "it"), [cut, len(TEXT)], 0.5)

    assert "".join(word.text for word in first) == TEXT[:cut]
    assert "".join(word.text for word in second) == TEXT[cut:]
    assert words_in("ab", [], [1, 2], 0.5) == [[], []]


def test_what_is_not_found() -> None:
    """Its place is the neighbour's."""
    [words] = words_in(TEXT, timed("Well", "its", "odd", "It's", "it"), [len(TEXT)], 0.5)

    assert [word.text for word in words] == [" Well, it's", ' "odd".', " It's", " it!"]


def test_own_probability() -> None:
    """It goes first."""
    [words] = words_in("a b", [Timed("a", 0, 1, 0.9), Timed("b", 2, 1)], [3], 0.5)

    assert [(word.end, word.probability) for word in words] == [(1, 0.9), (2, 0.5)]


@given(st.text(max_size=40), st.lists(st.text(max_size=6), max_size=8), st.integers(0, 40))
def test_joins_to_the_text(text: str, spoken: list[str], cut: int) -> None:
    """Whatever the words are, a part that has any has all of its text in them."""
    parts = sorted({min(cut, len(text)), len(text)})
    begin = 0
    for words, end in zip(words_in(text, timed(*spoken), parts, 0.5), parts, strict=True):
        assert not words or "".join(word.text for word in words) == text[begin:end]
        begin = end
