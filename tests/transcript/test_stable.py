"""Text that only grows: what successive hypotheses agree on is told, the tail once, nothing taken back."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.transcript import Token
from gateway.transcript.stable import PATIENCE, StabilityOptions, StableText, without_loop


def tokens(text: str, *, size: int | None = None) -> list[Token]:
    """A token for each word with its space, or for each ``size`` bytes."""
    raw = text.encode()
    if size is not None:
        parts = [raw[at : at + size] for at in range(0, len(raw), size)]
    else:
        first, *others = text.split(" ")
        parts = [first.encode(), *(f" {word}".encode() for word in others)] if text else []
    return [Token(number, part.decode(errors="replace"), part, None) for number, part in enumerate(parts)]


def text(told: tuple[Token, ...]) -> str:
    """Strictly: what is told is whole UTF-8."""
    return b"".join(token.raw for token in told).decode()


def grow(*hypotheses: str, agreement: int = 2, held_back: int = 1, spaced: bool = True) -> list[str]:
    """What is told at each hypothesis."""
    stable = StableText(StabilityOptions(agreement, held_back))
    size = None if spaced else 3
    return [text(stable.partial(tokens(hypothesis, size=size), spaced=spaced)) for hypothesis in hypotheses]


def finish(told: str, final: str, *, spaced: bool = True) -> str:
    """All text in the end, where ``told`` was told before the final came."""
    stable = StableText(StabilityOptions(1, 0))
    stable.partial(tokens(told), paused=True, spaced=spaced)
    assert text(stable.emitted) == told
    return told + text(stable.final(tokens(final), spaced=spaced))


def test_words_agreed_on_are_told() -> None:
    """Those that two hypotheses in a row begin with, but the last word; each once, in time."""
    assert grow("I", "I went", "I went to", "I went to the") == ["", "I", " went", " to"]
    assert grow("I want", "I went to", "I went to a", "I went to the moon") == ["", "I", " went to", ""]


def test_what_was_told_is_continued() -> None:
    """Where later hypotheses have other words for it, what follows those is told; case does not count."""
    assert grow("a b c", "a b c", "a x c d", "a x c d e") == ["", "a b", " c", " d"]
    assert grow("So it is", "So it is", "so it was fine", "so it was fine now") == [
        "",
        "So it",
        "",
        " was fine",
    ]


def test_marks_come_with_the_next_word() -> None:
    """They change with what follows: a full stop that was heard too soon is never told."""
    marked = [
        ["Well", ".", " I"],
        ["Well", ",", " I", " do"],
        ["well", ",", " I", " do", ".", " You"],
        ["Well", ",", " I", " do", "?", " You", " too"],
    ]

    assert [text(told) for told in _partials(*marked, held_back=1)] == ["", "Well, I", " do", "? You"]
    stable = StableText(StabilityOptions(1, 0))
    stable.partial([Token(0, "Well", b"Well", None)])
    final = [Token(0, part, part.encode(), None) for part in ("well", ",", " fine")]
    assert text(stable.final(final)) == ", fine"


def test_words_the_model_is_unsure_of_need_more() -> None:
    """The least probable token of a word counts; who knows no probabilities is sure."""
    stable = StableText(StabilityOptions(2, 0, evidence=1.0))
    unsure = [
        Token(0, " it", b" it", -0.1),
        Token(1, " ro", b" ro", -0.1),
        Token(2, "py", b"py", -1.0),
        Token(3, " is", b" is", None),
    ]

    assert [text(stable.partial(unsure)) for _ in range(3)] == ["", " it", " ropy is"]


@pytest.mark.parametrize(
    ("probabilities", "at"), [([0.9] * 9, 2), ([0.4] * 9, 3), ([0.1, 0.1, 1.0], 3), ([0.05] * 9, PATIENCE)]
)
def test_evidence_adds_up(probabilities: list[float], at: int) -> None:
    """Over the hypotheses that agree; a word that stays improbable is told in the end."""
    stable = StableText(StabilityOptions(2, 0, evidence=1.2))
    words = [Token(0, " it", b" it", math.log(probability)) for probability in probabilities]
    told = [text(stable.partial([word])) for word in words]

    assert told.index(" it") + 1 == at


def test_evidence_begins_anew_with_another_word() -> None:
    """What other hypotheses were sure of does not count for it."""
    stable = StableText(StabilityOptions(2, 0, evidence=1.2))
    for word in (" it", " is", " it"):
        assert text(stable.partial([Token(0, word, word.encode(), math.log(0.7))])) == ""
    assert text(stable.partial([Token(0, " it", b" it", math.log(0.7))])) == " it"


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("", ""),
        ("so it is", "so it is"),
        ("no no", "no no"),
        ("no no no", "no"),
        ("very well very well", "very well very well"),
        ("a b c d. A b c d", "a b c d."),
        ("we a b c d, a b c d a b", "we a b c d,"),
        ("a b c d a b c d e", "a b c d a b c d e"),
    ],
)
def test_a_loop_is_said_once(said: str, left: str) -> None:
    """At the end of a hypothesis; what somebody went on after was no loop."""
    assert "".join(token.text for token in without_loop(tokens(said))) == left


def test_what_was_heard_beyond_a_cut() -> None:
    """Speech without a pause is cut behind what was told: that is not told again with the next chunk."""
    stable = StableText(StabilityOptions(1, 0))
    stable.partial(tokens("one two three four"))
    final = tokens("One two,")
    stable.final(final)
    rest = stable.beyond(final)
    later = StableText(StabilityOptions(1, 0), rest)

    assert text(rest) == " three four"
    assert text(later.partial(tokens(" three four five"))) == " five"
    assert text(StableText(StabilityOptions(1, 0)).beyond(final)) == ""


@pytest.mark.parametrize("agreement", [1, 2, 3, 4])
def test_agreement(agreement: int) -> None:
    """So many hypotheses in a row must have a word."""
    told = grow(*["one two three"] * 5, agreement=agreement)

    assert told == [""] * (agreement - 1) + ["one two"] + [""] * (5 - agreement)


@pytest.mark.parametrize("held_back", [0, 1, 2, 3, 4])
def test_held_back(held_back: int) -> None:
    """So many words at the end wait for more sound."""
    words = ["one", " two", " three"]

    assert grow("one two three", agreement=1, held_back=held_back) == [
        "".join(words[: max(0, 3 - held_back)])
    ]


def test_a_pause_completes_the_last_word() -> None:
    """Nothing is held back then, but hypotheses must still agree."""
    stable = StableText(StabilityOptions(2, 2))
    stable.partial(tokens("one two three"))

    assert text(stable.partial(tokens("one two three four"), paused=True)) == "one two three"


def test_words_of_several_tokens() -> None:
    """A word is told whole or not at all, be it the only one."""
    assert [
        text(told) for told in _partials(["Hel", "lo"], ["Hel", "lo", " wor"], ["Hel", "lo", " wor", "ld"])
    ] == [
        "",
        "Hello",
        "",
    ]


def _partials(*hypotheses: list[str], held_back: int = 0) -> list[tuple[Token, ...]]:
    stable = StableText(StabilityOptions(2, held_back))
    return [
        stable.partial([Token(0, part, part.encode(), None) for part in hypothesis])
        for hypothesis in hypotheses
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7])
def test_characters_split_between_tokens(size: int) -> None:
    """However the bytes are split, whole characters are told, and the join is the text."""
    final = "naïve 日本語 café 🎉🎉 ende"
    stable = StableText(StabilityOptions(1, 0))
    told = ""
    for end in range(1, len(final.encode())):
        cut = final.encode()[:end]
        whole = [Token(0, "", cut[at : at + size], None) for at in range(0, end, size)]
        told += text(stable.partial(whole, spaced=False))

        assert final.startswith(told)
        assert len(told.encode()) > end - size - 4
    told += text(stable.final(tokens(final, size=size), spaced=False))
    assert told == final


def test_languages_without_spaces() -> None:
    """Each token counts as a word, so text flows, though somewhere a space is; but half of no character."""
    assert grow("今日", "今日は", "今日はい", "今日はい", held_back=1, spaced=False) == ["", "今日", "は", ""]
    assert grow("今日は OK ", "今日は OK ", spaced=False)[1].startswith("今日")
    assert grow("今日は OK", "今日は OK", spaced=True) == ["", "今日は"]


@pytest.mark.parametrize(
    ("told", "final", "all_text"),
    [
        ("", "hello", "hello"),
        ("hello", "hello", "hello"),
        ("hello", "hello world", "hello world"),
        ("I am", "I ambled home", "I ambled home"),
        ("the cat set", "the cat sat down", "the cat set down"),
        ("I going home", "I am going home now", "I going home now"),
        ("I am am going", "I am going home", "I am am going home"),
        ("hello world yeah", "hello world", "hello world yeah"),
        ("hello world", "Hello, world. How are you", "hello world How are you"),
        ("Hello. World", "hello world — again", "Hello. World — again"),
        ("one two three", "three", "one two three"),
        ("one two three", "", "one two three"),
        ("to be or", "two bee or not to be", "to be or not to be"),
        ("a b c d", "w x y z tail", "a b c d tail"),
    ],
)
def test_the_final_differs(told: str, final: str, all_text: str) -> None:
    """Inserted, deleted, changed words, other punctuation: the tail is told, once."""
    assert finish(told, final) == all_text


@pytest.mark.parametrize(
    ("told", "final", "all_text"),
    [
        ("你好", "你好。我们走", "你好。我们走"),
        ("你号", "你好。我们走", "你号。我们走"),
        ("日本後は", "日本語は楽しい", "日本後は楽しい"),
    ],
)
def test_the_final_differs_without_spaces(told: str, final: str, all_text: str) -> None:
    """Compared by characters: the two may be cut into tokens differently."""
    assert finish(told, final, spaced=False) == all_text


words = st.lists(st.sampled_from(["a", "b", "c", "été", "naïve", "日本", "x,", "-"]), max_size=8).map(
    " ".join
)


@example([("a", True), ("- a", True)], "- a", 2, 0, None, True)
@given(
    st.lists(st.tuples(words, st.booleans()), max_size=8),
    words,
    st.integers(1, 4),
    st.integers(0, 3),
    st.sampled_from([None, 1, 2, 3, 5]),
    st.booleans(),
)
def test_told_only_grows(
    partials: list[tuple[str, bool]],
    final: str,
    agreement: int,
    held_back: int,
    size: int | None,
    spaced: bool,  # noqa: FBT001 - the same
) -> None:
    """Whatever the hypotheses, what is told is what was told and more; and if they fit, the final's text."""
    stable = StableText(StabilityOptions(agreement, held_back))
    told = ""
    seen: list[str] = []
    for hypothesis, paused in partials:
        news = text(stable.partial(tokens(hypothesis, size=size), paused=paused, spaced=spaced))
        seen.append(hypothesis)
        told += news

        assert text(stable.emitted) == told
        # New words are in the last hypotheses, so many as must agree; marks do not count.
        if news:
            assert len(seen) >= agreement
            new = [word for word in news.split() if word != "-"]
            assert all(word in each for each in seen[-agreement:] for word in new)
    news = text(stable.final(tokens(final, size=size), spaced=spaced))
    assert final.endswith(news.removeprefix(" "))
    if final.startswith(told):
        assert told + news == final


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=8), st.data())
def test_a_changed_word_costs_no_tail(said: list[str], data: st.DataObject) -> None:
    """One told word another in the final: all that follows is told, and nothing twice."""
    place = data.draw(st.integers(0, len(said) - 1))
    told = [*said[:place], "other", *said[place + 1 :]]
    tail = ["m", "n", "o"][: data.draw(st.integers(0, 3))]

    assert finish(" ".join(told), " ".join(said + tail)) == " ".join(told + tail)
