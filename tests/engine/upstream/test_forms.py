"""A row asks for what its request wants, in the form that the upstream knows."""

from typing import Any

import numpy as np
import pytest

from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import DecodeOptions, DecodeRequest
from gateway.engine.upstream.forms import Abilities, fields_of, path_of

WHISPER = Abilities(verbose=True, words=True, translates=True)
ALL = Abilities(verbose=True, words=True, logprobs=True, translates=True)
GPT = Abilities(logprobs=True)


def row(seconds: float = 5.0, expected: str | None = None, **options: Any) -> DecodeRequest:
    """A row."""
    samples = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    return DecodeRequest(samples, DecodeOptions(**options), expected=expected)


@pytest.mark.parametrize(
    ("able", "options", "expected"),
    [
        (WHISPER, {}, {"response_format": "verbose_json"}),
        (
            WHISPER,
            {"words": True},
            {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]},
        ),
        (WHISPER, {"logprobs": True}, {"response_format": "verbose_json"}),
        (GPT, {}, {"response_format": "json"}),
        (GPT, {"logprobs": True, "words": True}, {"response_format": "json", "include[]": "logprobs"}),
        (ALL, {"logprobs": True}, {"response_format": "json", "include[]": "logprobs"}),
        (
            ALL,
            {"logprobs": True, "words": True},
            {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]},
        ),
        (Abilities(), {"logprobs": True}, {"response_format": "json"}),
    ],
)
def test_format(able: Abilities, options: dict[str, Any], expected: dict[str, Any]) -> None:
    """Times where there are any, log-probabilities where they are wanted."""
    assert fields_of(row(**options), "m", able) == {"model": "m", **expected}


def test_what_is_asked_for() -> None:
    """Language, keywords before the prompt, temperature."""
    fields = fields_of(
        row(language="de", keywords=("Kōan", " "), prompt=" Before. ", temperature=0.4), "m", GPT
    )

    assert fields == {
        "model": "m",
        "response_format": "json",
        "language": "de",
        "prompt": "Kōan Before.",
        "temperature": "0.4",
    }


def test_translation() -> None:
    """Has a path of its own, and takes no language."""
    request = row(task="translate", language="de", words=True, logprobs=True)

    assert path_of(request.options) == "audio/translations"
    assert fields_of(request, "m", ALL) == {"model": "m", "response_format": "verbose_json"}


def test_expected_language() -> None:
    """Only short rows are taken to be in it."""
    assert fields_of(row(1.0, "de"), "m", WHISPER)["language"] == "de"
    assert "language" not in fields_of(row(4.0, "de"), "m", WHISPER)
    assert fields_of(row(4.0, "de"), "m", WHISPER, "fr")["language"] == "fr"


def test_gateway() -> None:
    """One of ours is told to leave the chunk as it is."""
    fields = fields_of(row(seed=7), "m", Abilities(is_gateway=True))

    assert (fields["chunking_strategy"], fields["seed"]) == ("whole", "7")
