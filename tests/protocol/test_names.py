"""Every name of OpenAI's clients is known, and tells what its client expects."""

from typing import get_args

import pytest
from openai.types import AudioModel

from gateway.protocol.names import ALIASES, bills_tokens, is_openai


def test_every_name_of_the_sdk_is_an_alias() -> None:
    """What the official package lists works here, with and without a provider's prefix."""
    names = get_args(AudioModel)

    assert set(names) <= set(ALIASES)
    assert {f"openai/{name}" for name in names} <= set(ALIASES)


@pytest.mark.parametrize(
    ("name", "openai", "tokens"),
    [
        ("whisper-1", True, False),
        ("openai/whisper-1", True, False),
        ("gpt-4o-transcribe", True, True),
        ("openai/gpt-4o-mini-transcribe", True, True),
        ("whisper-large-v3", False, False),
        ("large-v3-turbo", False, False),
    ],
)
def test_what_a_name_says(name: str, *, openai: bool, tokens: bool) -> None:
    """OpenAI's names get OpenAI's answers; the gpt-* family is billed in tokens."""
    assert is_openai(name) is openai
    assert bills_tokens(name) is tokens
