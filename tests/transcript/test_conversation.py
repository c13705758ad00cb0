"""What channels say, in order of time: split only where another one begins, nothing lost or doubled."""

from gateway.transcript.conversation import Conversation
from gateway.transcript.timeline import Stretch, Timeline
from gateway.transcript.types import Hypothesis, Segment, Token, Word

CLOCK = Timeline([Stretch.plain(0, 60)])


def _say(*words: tuple[float, float, str], prompt_tokens: int = 0) -> Hypothesis:
    """One segment, each word a token."""
    timed = tuple(Word(start, end, text, 0.9) for start, end, text in words)
    text = "".join(word.text for word in timed)
    tokens = tuple(Token(at, word.text, word.text.encode(), -0.1) for at, word in enumerate(timed))
    segment = Segment(words[0][0], words[-1][1], text, tokens, timed, -0.1, 1.0, 0.0, 0.0)
    return Hypothesis((segment,), "en", 1.0, prompt_tokens)


def _texts(given: list[tuple[Hypothesis, Timeline]]) -> list[tuple[str | None, str]]:
    return [(segment.speaker, segment.text) for hypothesis, _ in given for segment in hypothesis.segments]


QUESTION = _say((0, 1, " How are"), (1, 2, " you?"), (5, 6, " And"), (6, 7, " hers?"))
ANSWER = _say((3, 4, " Fine."))


def test_an_answer_comes_between() -> None:
    """In the pause of the question, which is split there, with its tokens and words."""
    conversation = Conversation()
    first = conversation.take(0, QUESTION, CLOCK, 0)
    given = conversation.take(1, ANSWER, CLOCK, 60)

    assert _texts(first) == []
    assert _texts(given) == [("A", " How are you?"), ("B", " Fine."), ("A", " And hers?")]
    for hypothesis, _ in given:
        for segment in hypothesis.segments:
            assert b"".join(token.raw for token in segment.tokens).decode() == segment.text
            assert "".join(word.text for word in segment.words) == segment.text


def test_a_pause_alone_splits_nothing() -> None:
    """What nobody interrupts stays one segment."""
    conversation = Conversation()

    assert _texts(conversation.take(0, QUESTION, CLOCK, 60)) == [("A", " How are you? And hers?")]


def test_what_is_not_settled_waits() -> None:
    """Until no channel can say anything before it, or the end."""
    conversation = Conversation(["Ann"])

    assert _texts(conversation.take(0, QUESTION, CLOCK, 2.5)) == [("Ann", " How are you?")]
    assert _texts(conversation.take(1, ANSWER, CLOCK, 2.5)) == []
    assert _texts(conversation.finish()) == [("B", " Fine."), ("Ann", " And hers?")]
    assert conversation.finish() == []


def test_a_pause_that_was_cut_out() -> None:
    """The recording's clock says where words are, not the chunk's."""
    cut = Timeline([Stretch.plain(0, 2), Stretch.plain(8, 60)])
    question = _say((0, 1, " How are"), (1, 2, " you?"), (2.1, 3, " And hers?"))
    conversation = Conversation()
    conversation.take(0, question, cut, 0)

    assert _texts(conversation.take(1, ANSWER, CLOCK, 60)) == [
        ("A", " How are you?"),
        ("B", " Fine."),
        ("A", " And hers?"),
    ]


def test_letters_are_the_channels() -> None:
    """Whoever speaks first: the second channel is B, and its name is nobody else's letter."""
    assert _texts(Conversation().take(1, ANSWER, CLOCK, 60)) == [("B", " Fine.")]
    assert _texts(Conversation(["B"]).take(1, ANSWER, CLOCK, 60)) == [("C", " Fine.")]


def test_prompts_are_counted_once() -> None:
    """However often a chunk's words are split, and if it has none."""
    conversation = Conversation()
    asked = _say((0, 1, " How"), (5, 6, " hers?"), prompt_tokens=7)
    given = [*conversation.take(0, asked, CLOCK, 0), *conversation.take(1, ANSWER, CLOCK, 0)]
    given += [*conversation.take(1, Hypothesis((), None, 0.0, 5), CLOCK, 0), *conversation.finish()]

    assert sum(hypothesis.prompt_tokens for hypothesis, _ in given) == 12
