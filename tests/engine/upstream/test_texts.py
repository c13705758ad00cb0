"""Texts without tokens, languages and times get what can be told of them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.engine.upstream.texts import guessed_times, language_by_script, sentences, tokens_of
from gateway.transcript.tokens import text_of


@given(st.text())
def test_parts_join_to_the_text(text: str) -> None:
    """Tokens and sentences leave nothing out, whatever the text is."""
    assert text_of(tokens_of(text)) == text.encode(errors="replace").decode()
    assert "".join(sentences(text)) == text


def test_tokens() -> None:
    """Words where spaces are written, characters where they are not."""
    assert [token.text for token in tokens_of(" Hello, world.", 3)] == [" Hello,", " world."]
    assert [token.id for token in tokens_of(" Hello, world.", 3)] == [3, 4]
    assert [token.text for token in tokens_of("今日は OK")] == ["今", "日", "は", " OK"]


def test_sentences() -> None:
    """Behind what ends a sentence; not within a number or an ellipsis."""
    assert sentences(" One. Two? 3.5 is... three") == [" One.", " Two?", " 3.5 is... three"]
    assert sentences("今日は。はい。") == ["今日は。", "はい。"]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("今日は良い天気です", "ja"),
        ("今天天气很好", "zh"),
        ("สวัสดี", "th"),
        ("Guten Tag", None),
        ("", None),
        ("The word 猫 means cat", None),
    ],
)
def test_language_by_script(text: str, language: str | None) -> None:
    """Only where the script leaves no choice."""
    assert language_by_script(text) == language


def test_guessed_times() -> None:
    """By characters; ends go into a pause that is near; the last one is the audio's."""
    parts = ["x" * 10, "x" * 20, "x" * 10]

    assert guessed_times(parts, 40.0, []) == [(0.0, 10.0), (10.0, 30.0), (30.0, 40.0)]
    assert guessed_times(parts, 40.0, [11.0, 20.0]) == [(0.0, 11.0), (11.0, 30.0), (30.0, 40.0)]
    assert guessed_times([], 40.0, [1.0]) == []


@given(
    st.lists(st.text(min_size=1), min_size=1, max_size=8), st.lists(st.floats(0, 30), max_size=5).map(sorted)
)
def test_guessed_times_are_in_order(parts: list[str], breaks: list[float]) -> None:
    """They follow each other without gaps, and stay within the audio."""
    times = guessed_times(parts, 30.0, breaks)

    assert times[0][0] == 0.0
    assert times[-1][1] == 30.0
    assert all(before[1] == after[0] for before, after in pairwise(times))
    assert all(start <= end for start, end in times)
