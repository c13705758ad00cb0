"""Every name of OpenAI's clients is known, and says what they expect of its answers."""

from typing import get_args

import pytest
from openai.types import AudioModel

from gateway.protocol.contracts import ALIASES, contract


def test_every_name_of_the_sdk_is_an_alias() -> None:
    """What the official package lists works here, with and without a provider's prefix."""
    names = get_args(AudioModel)

    assert set(names) <= set(ALIASES)
    assert {f"openai/{name}" for name in names} <= set(ALIASES)


@pytest.mark.parametrize(
    ("name", "is_openai", "bills_tokens", "prefixed"),
    [
        ("whisper-1", True, False, False),
        ("openai/whisper-1", True, False, True),
        ("gpt-4o-transcribe", True, True, False),
        ("openai/gpt-4o-mini-transcribe", True, True, True),
        ("whisper-large-v3", False, False, False),
        ("large-v3-turbo", False, False, False),
        ("gpt-5-transcribe", False, True, False),
    ],
)
def test_what_a_name_says(name: str, *, is_openai: bool, bills_tokens: bool, prefixed: bool) -> None:
    """OpenAI's names get OpenAI's answers; the gpt-* family is billed in tokens."""
    expected = contract(name)

    assert (expected.is_openai, expected.bills_tokens) == (is_openai, bills_tokens)
    assert expected.prefixed is prefixed


def test_few_names_are_special() -> None:
    """whisper-1 ignores the wish to stream; two transcribe all along, one tells speakers apart."""
    assert [name for name in ALIASES if not contract(name).streams] == ["whisper-1", "openai/whisper-1"]
    continuous = {name for name in ALIASES if contract(name).continuous}
    assert continuous >= {"gpt-live-transcribe", "openai/gpt-realtime-whisper"}
    assert len(continuous) == 4
    assert next(name for name in ALIASES if contract(name).diarizes) == "gpt-4o-transcribe-diarize"
