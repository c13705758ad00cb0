"""First words that are emitted ahead stay, the chunk goes on after them, and deltas are the text."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transcript import Assembler, Hypothesis, Segment, TextDelta, Token, TranscriptDone, Word
from gateway.transcript.timeline import Stretch, Timeline

CLOCK = Timeline([Stretch.plain(0.0, 30.0)])


def say(*texts: str, language: str = "en") -> Hypothesis:
    """A segment of a second for each text, with its words at even times."""
    segments = []
    for number, text in enumerate(texts):
        pieces = [f" {word}" for word in text.split()] if language == "en" else list(text)
        tokens = tuple(Token(at, piece, piece.encode(), None) for at, piece in enumerate(pieces))
        step = 1 / max(len(pieces), 1)
        words = tuple(
            Word(number + at * step, number + (at + 1) * step, piece, 1.0) for at, piece in enumerate(pieces)
        )
        segments.append(Segment(number, number + 1, "".join(pieces), tokens, words, 0, 1, 0, 0))
    return Hypothesis(tuple(segments), language, 1.0)


def run(ahead: Hypothesis, *chunks: Hypothesis) -> tuple[list[str], TranscriptDone]:
    """The deltas and the transcript."""
    assembler = Assembler()
    events = assembler.begin(ahead)
    known = [event for chunk in chunks for event in assembler.add(chunk, CLOCK)]
    deltas = [event.text for event in (*events, *known, *assembler.flush()) if isinstance(event, TextDelta)]
    return deltas, assembler.finish(30.0)


def test_the_last_words_are_held_back() -> None:
    """Three of them; what is no more than that is not emitted."""
    assert run(say("a b c d e"), say("a b c d e f"))[0] == ["a b", " c d e f"]
    assert run(say("a b"), say("a b c"))[0] == ["a b c"]


def test_equal_words_change_nothing() -> None:
    """The segments are those that the chunk has without."""
    chunk = say("a b c d", "e f")
    assembler = Assembler()
    assembler.add(chunk, CLOCK)

    _, done = run(say("a b c d e f"), chunk)

    assert done.transcript.segments == assembler.finish(30.0).transcript.segments


@pytest.mark.parametrize(
    ("chunk", "text"),
    [
        (say("x b c d e f"), "a b c d e f"),  # another word
        (say("b c d e f"), "a b c d e f"),  # a word less
        (say("a b b c d e f"), "a b c d e f"),  # a word more
        (say("A, B c d e f"), "a b c d e f"),  # another spelling
        (say("x", "b c d", "e f"), "a b c d e f"),  # in segments of its own
        (say(), "a b c"),  # no text at all
    ],
)
def test_what_was_emitted_stays(chunk: Hypothesis, text: str) -> None:
    """Nothing is lost and nothing comes twice; segments, words and text say the same."""
    deltas, done = run(say("a b c x x x"), chunk)

    assert deltas[0] == "a b c"
    assert "".join(deltas) == done.transcript.text == text
    assert "".join(segment.text for segment in done.transcript.segments).strip() == text
    words = [word for segment in done.transcript.segments for word in segment.words]
    assert [word.text.strip() for word in words] in (text.split(), [])
    assert all(one.end <= other.start + 1e-9 for one, other in itertools.pairwise(words))


def test_unspaced_scripts() -> None:
    """Each character counts as a word."""
    deltas, done = run(say("你好世界再見", language="zh"), say("你好世間再見了", language="zh"))

    assert deltas[0] == "你好世"
    assert "".join(deltas) == done.transcript.text == "你好世間再見了"


SPEECH = st.lists(st.lists(st.sampled_from(["a", "b", "c", "d."]), max_size=4).map(" ".join), max_size=3)


@given(SPEECH, st.lists(SPEECH, max_size=3))
def test_deltas_are_the_text(ahead: list[str], chunks: list[list[str]]) -> None:
    """Whatever the beginning and the chunks say."""
    if not chunks:
        return
    deltas, done = run(say(*ahead), *(say(*texts) for texts in chunks))

    assert "".join(deltas) == done.transcript.text
    assert b"".join(token.raw for token in done.transcript.tokens).decode() == done.transcript.text
