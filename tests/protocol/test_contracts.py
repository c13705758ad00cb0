"""Every name of OpenAI's clients is known, and limited as OpenAI limits it under `strict_openai`."""

from typing import get_args

import pytest
from openai.types import AudioModel

from gateway.errors import InvalidRequestError
from gateway.protocol.contracts import (
    ALIASES,
    TRANSCRIPTION_FIELDS,
    check_strictly,
    contract,
    refuse_unknown,
)
from gateway.protocol.request import TranscriptionRequest


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


def _request(**fields: object) -> TranscriptionRequest:
    return TranscriptionRequest.model_validate(fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "whisper-1", "response_format": "srt"},
        {"model": "whisper-1", "response_format": "verbose_json", "timestamp_granularities": ["word"]},
        {"model": "gpt-4o-transcribe", "include": ["logprobs"]},
        {"model": "gpt-transcribe", "keywords": ["a"], "languages": ["en", "de"]},
        {"model": "large-v3", "response_format": "vtt"},
    ],
)
def test_what_openai_takes(fields: dict[str, object]) -> None:
    """These pass."""
    check_strictly(_request(**fields))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": "gpt-4o-transcribe", "response_format": "srt"}, "response_format"),
        ({"model": "gpt-4o-mini-transcribe", "response_format": "verbose_json"}, "response_format"),
        ({"model": "openai/gpt-4o-transcribe", "response_format": "vtt"}, "response_format"),
        ({"model": "gpt-4o-transcribe-diarize", "response_format": "srt"}, "response_format"),
        ({"model": "whisper-1", "response_format": "diarized_json"}, "response_format"),
        ({"model": "whisper-1", "include": ["logprobs"]}, "include"),
        ({"model": "gpt-transcribe", "timestamp_granularities": ["segment"]}, "timestamp_granularities"),
        ({"model": "whisper-1", "keywords": ["a"]}, "keywords"),
        ({"model": "gpt-4o-transcribe", "languages": ["en"]}, "languages"),
        ({"model": "whisper-1", "temperature": 1.5}, "temperature"),
    ],
)
def test_what_openai_refuses(fields: dict[str, object], param: str) -> None:
    """Each refusal names the parameter, as OpenAI's do."""
    with pytest.raises(InvalidRequestError) as caught:
        check_strictly(_request(**fields))

    assert caught.value.param == param


def test_unknown_fields() -> None:
    """The first field that OpenAI does not know is named."""
    refuse_unknown(["model", "stream"], TRANSCRIPTION_FIELDS)
    with pytest.raises(InvalidRequestError, match="seed"):
        refuse_unknown(["model", "seed"], TRANSCRIPTION_FIELDS)
