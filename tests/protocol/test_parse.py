"""A request is parsed as its client meant it, or refused with the parameter's name."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidRequestError
from gateway.protocol.request import ServerVad, parse_request


def test_defaults() -> None:
    """Model alone is enough beside the file."""
    request = parse_request([("model", "whisper-1")])

    assert (request.response_format, request.temperature, request.stream) == ("json", 0.0, False)
    assert request.chunking_strategy is None
    assert not request.wants_logprobs


def test_every_field() -> None:
    """The SDK's encoding of every field is understood."""
    request = parse_request(
        [
            ("model", "gpt-4o-transcribe"),
            ("language", "de"),
            ("prompt", "Names: Ada"),
            ("response_format", "json"),
            ("temperature", "0.4"),
            ("stream", "true"),
            ("chunking_strategy[type]", "server_vad"),
            ("chunking_strategy[threshold]", "0.4"),
            ("chunking_strategy[silence_duration_ms]", "300"),
            ("include[]", "logprobs"),
        ]
    )

    assert request.language == "de"
    assert request.prompt == "Names: Ada"
    assert request.temperature == 0.4
    assert request.stream
    assert request.chunking_strategy == ServerVad(
        type="server_vad", threshold=0.4, prefix_padding_ms=300, silence_duration_ms=300
    )
    assert request.wants_logprobs


def test_empty_fields_are_unset() -> None:
    """A form with empty boxes is a form without them."""
    request = parse_request(
        [("model", "m")]
        + [(name, "") for name in ("language", "prompt", "response_format", "temperature", "stream")]
        + [("chunking_strategy", "")]
    )

    assert request == parse_request([("model", "m")])


def test_unknown_fields_are_ignored() -> None:
    """A newer client's extra field does no harm."""
    assert parse_request([("model", "m"), ("brand_new", "1")]) == parse_request([("model", "m")])


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("model", "", "model"),
        ("temperature", "hot", "temperature"),
        ("temperature", "-1", "temperature"),
        ("temperature", "2.1", "temperature"),
        ("temperature", "nan", "temperature"),
        ("stream", "maybe", "stream"),
        ("response_format", "docx", "response_format"),
        ("include[]", "everything", "include"),
        ("chunking_strategy", "{", "chunking_strategy"),
        ("chunking_strategy", "manual", "chunking_strategy"),
        ("chunking_strategy", "[1]", "chunking_strategy"),
        ("chunking_strategy", '{"type": "client_vad"}', "chunking_strategy.type"),
        ("chunking_strategy", '{"threshold": 0.5}', "chunking_strategy.type"),
        ("chunking_strategy", '{"type": "server_vad", "threshold": 7}', "chunking_strategy.threshold"),
        ("chunking_strategy[silence_duration_ms]", "-5", "chunking_strategy.silence_duration_ms"),
    ],
)
def test_refusals_name_their_parameter(field: str, value: str, param: str) -> None:
    """Each bad value is a 400 that says which parameter it was."""
    fields = [("model", "m"), (field, value)]
    if field.startswith("chunking_strategy["):
        fields.append(("chunking_strategy[type]", "server_vad"))
    with pytest.raises(InvalidRequestError) as caught:
        parse_request(fields)

    assert caught.value.param == param
    assert caught.value.status == 400


def test_missing_model() -> None:
    """No model is a missing parameter."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_request([])

    assert (caught.value.param, caught.value.code) == ("model", "missing_required_parameter")


def test_logprobs_need_json() -> None:
    """Plain text has no place for log-probabilities."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_request([("model", "m"), ("include[]", "logprobs"), ("response_format", "text")])

    assert caught.value.param == "include"


_NAMES = st.sampled_from(
    [
        "model",
        "language",
        "temperature",
        "stream",
        "response_format",
        "include[]",
        "chunking_strategy",
        "chunking_strategy[type]",
        "chunking_strategy[threshold]",
        "prompt",
        "keywords",
    ]
)
_VALUES = st.one_of(
    st.text(max_size=30), st.sampled_from(["1", "true", "null", "[]", "{}", '"a"', "server_vad"])
)


@given(st.lists(st.tuples(_NAMES, _VALUES)))
def test_strangers_get_a_request_or_a_refusal(fields: list[tuple[str, str]]) -> None:
    """Any values give a request or a refusal, nothing else."""
    with suppress(InvalidRequestError):
        assert parse_request(fields).model
