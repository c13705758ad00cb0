"""Contradictions are refused with the parameter to change, and OpenAI's limits hold where they are wanted."""

import pytest

from gateway.errors import InvalidRequestError
from gateway.protocol.request import (
    TRANSCRIPTION_FIELDS,
    TranscriptionRequest,
    check_combinations,
    check_strictly,
    refuse_unknown,
)

REFERENCE = "data:audio/wav;base64,AAAA"


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp_granularities": ["segment"], "response_format": "json"},
        {"timestamp_granularities": ["word", "segment"], "response_format": "verbose_json"},
        {"include": ["logprobs"], "response_format": "json", "model": "whisper-1"},
        {"response_format": "srt", "model": "gpt-4o-transcribe"},
        {"response_format": "vtt", "model": "gpt-4o-transcribe-diarize"},
        {"stream": True, "response_format": "verbose_json"},
        {"stream": True, "response_format": "text", "model": "whisper-1"},
    ],
)
def test_what_goes_together(fields: dict[str, object]) -> None:
    """Where OpenAI's models refuse for reasons of their own, this gateway gives."""
    check_combinations(TranscriptionRequest.model_validate({"model": "m", **fields}))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"timestamp_granularities": ["word"]}, "timestamp_granularities"),
        ({"timestamp_granularities": ["word"], "response_format": "srt"}, "timestamp_granularities"),
        ({"include": ["logprobs"], "response_format": "text"}, "include"),
        ({"include": ["logprobs"], "response_format": "verbose_json"}, "include"),
        ({"stream": True, "response_format": "srt"}, "response_format"),
        ({"stream": True, "response_format": "vtt"}, "response_format"),
        ({"model": "gpt-4o-transcribe-diarize", "prompt": "a"}, "prompt"),
        ({"model": "openai/gpt-4o-transcribe-diarize", "include": ["logprobs"]}, "include"),
        ({"known_speaker_names": ["a"]}, "known_speaker_references"),
        ({"known_speaker_references": [REFERENCE]}, "known_speaker_references"),
        ({"known_speaker_names": ["a"], "known_speaker_references": ["x"]}, "known_speaker_references"),
        (
            {"known_speaker_names": ["a", "a"], "known_speaker_references": [REFERENCE] * 2},
            "known_speaker_names",
        ),
        (
            {"known_speaker_names": ["a", " "], "known_speaker_references": [REFERENCE] * 2},
            "known_speaker_names",
        ),
        (
            {"known_speaker_names": ["a"], "known_speaker_references": ["data:audio/wav;base64,%"]},
            "known_speaker_references",
        ),
        ({"num_speakers": 3, "max_speakers": 2}, "num_speakers"),
        ({"channels": "speakers", "num_speakers": 2}, "num_speakers"),
        ({"channels": "speakers", "max_speakers": 2}, "max_speakers"),
        (
            {
                "channels": "speakers",
                "known_speaker_names": ["a"],
                "known_speaker_references": [REFERENCE],
            },
            "known_speaker_references",
        ),
        ({"channels": "speakers", "known_speaker_names": ["a", "a"]}, "known_speaker_names"),
        (
            {"known_speaker_names": ["a"] * 5, "known_speaker_references": [REFERENCE] * 5},
            "known_speaker_names",
        ),
    ],
)
def test_what_does_not(fields: dict[str, object], param: str) -> None:
    """Each refusal names the parameter."""
    request = TranscriptionRequest.model_validate({"model": "m", **fields})
    with pytest.raises(InvalidRequestError) as caught:
        check_combinations(request)

    assert caught.value.param == param


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
