"""With `strict_openai` a name is limited as OpenAI's model of that name is."""

import pytest

from gateway.errors import InvalidRequestError
from gateway.protocol.request import TranscriptionRequest
from gateway.protocol.strict import TRANSCRIPTION_FIELDS, check_strictly, refuse_unknown, streams


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


def test_who_streams() -> None:
    """OpenAI's whisper-1 ignores the wish to stream."""
    assert not streams("openai/whisper-1")
    assert streams("gpt-4o-transcribe")
