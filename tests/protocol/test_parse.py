"""A request is parsed as its client meant it, or refused with the parameter's name."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidRequestError
from gateway.protocol.parse import parse_transcription, parse_translation
from gateway.protocol.request import ServerVad


def test_defaults() -> None:
    """Model alone is enough beside the file."""
    request = parse_transcription([("model", "whisper-1")])

    assert (request.response_format, request.temperature, request.stream) == ("json", 0.0, False)
    assert request.chunking_strategy is None
    assert not request.wants_logprobs


def test_every_field() -> None:
    """The SDK's encoding of every field is understood."""
    request = parse_transcription(
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
    request = parse_transcription(
        [("model", "m")]
        + [(name, "") for name in ("language", "prompt", "response_format", "temperature", "stream")]
        + [("chunking_strategy", "")]
    )

    assert request == parse_transcription([("model", "m")])


def test_unknown_fields_are_ignored() -> None:
    """A newer client's extra field does no harm."""
    assert parse_transcription([("model", "m"), ("brand_new", "1")]) == parse_transcription([("model", "m")])


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
        parse_transcription(fields)

    assert caught.value.param == param
    assert caught.value.status == 400


def test_missing_model() -> None:
    """No model is a missing parameter."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_transcription([])

    assert (caught.value.param, caught.value.code) == ("model", "missing_required_parameter")


def test_lists_and_numbers() -> None:
    """Languages become codes; keywords, granularities and seeds are understood."""
    request = parse_transcription(
        [
            ("model", "gpt-transcribe"),
            ("languages[]", "de-AT"),
            ("languages[]", "Spanish"),
            ("keywords[]", "Ada"),
            ("keywords[]", ""),
            ("timestamp_granularities[]", "word"),
            ("response_format", "verbose_json"),
            ("seed", "7"),
            ("max_line_width", "32"),
        ]
    )

    assert request.languages == ("de", "es")
    assert request.keywords == ("Ada",)
    assert request.timestamp_granularities == ("word",)
    assert (request.seed, request.max_line_width) == (7, 32)


def test_language_auto_is_unset() -> None:
    """Clients of other servers say auto where OpenAI's leave the field out."""
    assert parse_transcription([("model", "m"), ("language", "auto")]).language is None


def test_translations_know_fewer_fields() -> None:
    """What only transcriptions have is ignored, even where its value is nonsense."""
    request = parse_translation([("model", "m"), ("include[]", "nonsense"), ("response_format", "srt")])

    assert request.include == ()
    assert request.response_format == "srt"


def test_strict_refuses_unknown_fields() -> None:
    """With OpenAI's own strictness an unknown field is a mistake; without, it is ignored."""
    fields = [("model", "whisper-1"), ("seed", "1")]
    with pytest.raises(InvalidRequestError) as caught:
        parse_transcription(fields, strict=True)

    assert caught.value.param == "seed"
    assert parse_transcription(fields).seed == 1


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
        assert parse_transcription(fields).model
