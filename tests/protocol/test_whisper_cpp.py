"""What clients of whisper.cpp's server ask becomes a request."""

import pytest

from gateway.errors import InvalidRequestError
from gateway.protocol.parse import misspelt
from gateway.protocol.whisper_cpp import INFERENCE


def test_its_own_options_mean_nothing() -> None:
    """How the search is done there has no meaning here."""
    fields = [
        ("temperature", "0.0"),
        ("temperature_inc", "0.2"),
        ("beam_size", "-1"),
        ("no_timestamps", "true"),
        ("translate", "null"),
    ]

    assert INFERENCE.read(fields) == INFERENCE.read([])
    assert misspelt(fields, INFERENCE.known) == {}


def test_the_rest_is_as_ever() -> None:
    """Language, prompt, translation and format; verbose answers have words unasked."""
    asked = INFERENCE.read(
        [("language", "auto"), ("translate", "true"), ("prompt", "So."), ("response_format", "verbose_json")]
    )

    assert (asked.task, asked.request.language, asked.request.prompt) == ("translate", None, "So.")
    assert asked.request.timestamp_granularities == ("segment", "word")


@pytest.mark.parametrize(("name", "value"), [("translate", "maybe"), ("response_format", "docx")])
def test_wrong_values(name: str, value: str) -> None:
    """Each names its parameter."""
    with pytest.raises(InvalidRequestError) as caught:
        INFERENCE.read([(name, value)])

    assert caught.value.param == name
