"""How long a silence may be, by the words before it, in the scripts people write."""

import pytest

from gateway.transcript.writing import (
    MAX_SILENCE_SECONDS,
    Eagerness,
    ends_sentence,
    is_spaced,
    silence_seconds,
)

WHOLE = [
    "Good morning.",
    " Is it?  ",
    "Stop!",
    'He said: "No."',
    "(That is all.)",
    "“Really?”",
    "„Wirklich?“",
    "»Halt!«",
    "« Non ! »",
    "Well…  Yes.",
    "今日は。",
    "「本当？」",
    "真的！",
    "كيف حالك؟",
    "یہ ٹھیک ہے۔",
    "नमस्ते।",
    "ሰላም።",
    "Բարեւ։",
    "မင်္ဂလာပါ။",
    "សួស្តី។",
    "What?!",
    "'Yes.'",
]

UNFINISHED = [
    "",
    "   ",
    "Good morning",
    "I think that,",
    "And then...",
    "And then…",
    "Also ..",
    "“Well…”",
    '"',
    "first:",
    "so; ",
    "and —",
    "今日は、",
    "今日は。。。",
    "(aside)",
    "5",
    "50%",
    "me & you @",
]


@pytest.mark.parametrize("text", WHOLE)
def test_whole_sentences(text: str) -> None:
    """They end with a mark, whatever quotation or bracket closes after it."""
    assert ends_sentence(text)


@pytest.mark.parametrize("text", UNFINISHED)
def test_unfinished_ones(text: str) -> None:
    """Nothing, a comma, a dash, dots that trail off."""
    assert not ends_sentence(text)


@pytest.mark.parametrize(("eagerness", "longest"), [("low", 8), ("medium", 4), ("high", 2)])
def test_silences(eagerness: Eagerness, longest: float) -> None:
    """OpenAI's limits where a sentence is not whole; much less where it is; the eager wait least."""
    assert MAX_SILENCE_SECONDS[eagerness] == longest
    assert silence_seconds("Well, I", eagerness) == longest
    assert silence_seconds("I do.", eagerness) <= 1.5
    assert silence_seconds("I do.", "high") <= silence_seconds("I do.", eagerness)
    assert silence_seconds("I do.", eagerness) <= silence_seconds("I do.", "low")


@pytest.mark.parametrize(("language", "spaced"), [("en", True), (None, True), ("ko", True), ("ja", False)])
def test_spaces(language: str | None, spaced: bool) -> None:  # noqa: FBT001 - a table
    """Most languages write them, and an unknown one is taken to."""
    assert is_spaced(language) == spaced
