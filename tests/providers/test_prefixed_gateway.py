"""Clients of a gateway that puts the provider before the model's name: usage counts tokens and seconds."""

import math

import pytest

from tests.support import LiveServer, Sample


@pytest.mark.parametrize("model", ["openai/whisper-1", "openai/gpt-4o-transcribe", "openai/whisper-large-v3"])
def test_usage_counts_both_ways(server: LiveServer, samples: dict[str, Sample], model: str) -> None:
    """Type, seconds and the three token counts stand side by side, and log-probabilities come when asked."""
    sample = samples["en_numbers"]
    answer = server.post(
        model=model, file=("a.flac", sample.path.read_bytes()), **{"include[]": "logprobs"}
    ).json()
    usage = answer["usage"]

    assert answer["text"] == sample.text
    assert usage["type"] in {"tokens", "duration"}
    assert usage["seconds"] == math.ceil(sample.duration)
    assert usage["input_tokens"] == math.ceil(sample.duration * 10)
    assert usage["output_tokens"] == len(answer["logprobs"])
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert "".join(token["token"] for token in answer["logprobs"]) == sample.text


def test_over_the_limit(server: LiveServer) -> None:
    """25 MB is the limit, and the answer says so."""
    answer = server.post(model="openai/whisper-1", file=("a.wav", bytes(25 * 1024 * 1024 + 1)))

    assert answer.status_code == 413
    assert "26214400" in answer.json()["error"]["message"]


def test_models_are_found_by_prefixed_name(server: LiveServer) -> None:
    """The slash in the name is part of the path."""
    assert server.openai.models.retrieve("openai/whisper-1").id == "openai/whisper-1"
