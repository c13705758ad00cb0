"""Parameters that contradict each other are refused with the one to change; what has a meaning is not."""

import pytest

from gateway.errors import InvalidRequestError
from gateway.protocol.combinations import check_combinations
from gateway.protocol.request import TranscriptionRequest

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
        ({"response_format": "diarized_json"}, "response_format"),
        ({"model": "gpt-4o-transcribe-diarize", "prompt": "a"}, "prompt"),
        ({"model": "openai/gpt-4o-transcribe-diarize", "include": ["logprobs"]}, "include"),
        ({"known_speaker_names": ["a"]}, "known_speaker_references"),
        ({"known_speaker_references": [REFERENCE]}, "known_speaker_references"),
        ({"known_speaker_names": ["a"], "known_speaker_references": ["x"]}, "known_speaker_references"),
        ({"known_speaker_names": ["a"], "known_speaker_references": [REFERENCE]}, "known_speaker_names"),
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
