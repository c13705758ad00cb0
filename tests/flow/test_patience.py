"""How long a silence may be, by the words before it, in the scripts people write."""

import pytest

from gateway.audio.types import SAMPLE_RATE
from gateway.flow.patience import MAX_SECONDS, Eagerness, ends_sentence, patience

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
    """They end with a mark, whatever quotation or bracket closes behind it."""
    assert ends_sentence(text)


@pytest.mark.parametrize("text", UNFINISHED)
def test_unfinished_ones(text: str) -> None:
    """Nothing, a comma, a dash, dots that trail off."""
    assert not ends_sentence(text)


@pytest.mark.parametrize(("eagerness", "longest"), [("low", 8), ("medium", 4), ("high", 2)])
def test_patience(eagerness: Eagerness, longest: float) -> None:
    """OpenAI's limits where a sentence is not whole; much less where it is; the eager wait least."""
    assert MAX_SECONDS[eagerness] == longest
    assert patience("Well, I", eagerness) == longest * SAMPLE_RATE
    assert patience("I do.", eagerness) <= SAMPLE_RATE * 3 // 2
    assert patience("I do.", "high") <= patience("I do.", eagerness) <= patience("I do.", "low")
