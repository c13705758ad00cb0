"""What strangers send is read as they meant it, in every encoding, or refused with the parameter's name."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from gateway.errors import InvalidRequestError
from gateway.protocol.parse import (
    FIELDS,
    as_object,
    decode_form,
    invalid_value,
    misspelt,
    parse_transcription,
    parse_translation,
    read_object,
    validated,
)
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
    """A newer client's extra field does no harm, however it is written; strict rules name it."""
    for name, value in (
        ("brand_new", "1"),
        ("brand_new[]", "1"),
        ("brand_new[a][b]", "1"),
        ("brand_new", "{1"),
        ("extra_body[brand_new][]", "1"),
        ("", "1"),
    ):
        fields = [("model", "m"), (name, value)]
        assert parse_transcription(fields) == parse_transcription([("model", "m")])
        with pytest.raises(InvalidRequestError, match="Unrecognized"):
            parse_transcription(fields, strict=True)


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


def test_space_around_a_model_is_none_of_its_name() -> None:
    """``curl -F 'model=<name.txt'`` sends the file's last line break, too."""
    assert parse_transcription([("model", " whisper-1\n")]).model == "whisper-1"


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
            ("track", "2"),
            ("max_line_width", "32"),
        ]
    )

    assert request.languages == ("de", "es")
    assert request.keywords == ("Ada",)
    assert request.timestamp_granularities == ("word",)
    assert (request.seed, request.track, request.max_line_width) == (7, 2, 32)


@pytest.mark.parametrize(
    "word", ["auto", "AUTO", " Auto ", "auto-detect", "und", "detect", "null", "None", "undefined", ""]
)
@pytest.mark.parametrize("name", ["language", "languages", "languages[]"])
def test_a_language_to_be_heard_is_unset(name: str, word: str) -> None:
    """Clients of other servers say auto, or null, where OpenAI's leave the field out."""
    assert parse_transcription([("model", "m"), (name, word)]) == parse_transcription([("model", "m")])


@pytest.mark.parametrize("nothing", ["null", "undefined", "None", "nil", " "])
@pytest.mark.parametrize(
    "name",
    [
        "prompt",
        "temperature",
        "seed",
        "stream",
        "track",
        "response_format",
        "chunking_strategy",
        "include[]",
        "timestamp_granularities",
        "languages[]",
        "keywords[]",
        "num_speakers",
        "max_line_width",
    ],
)
def test_nothing_written_out_is_nothing(name: str, nothing: str) -> None:
    """A form has no null: clients that send the word mean that the field is not set."""
    assert parse_transcription([("model", "m"), (name, nothing)]) == parse_transcription([("model", "m")])


@pytest.mark.parametrize("nothing", ["null", "", None])
def test_nothing_within_a_value_is_nothing(nothing: str | None) -> None:
    """Neither an object's member nor a list's item counts that is not set."""
    given = {
        "chunking_strategy": {"type": "server_vad", "threshold": nothing},
        "timestamp_granularities": ["word", nothing],
        "languages": [nothing, "de"],
    }
    request = parse_transcription(
        [("model", "m"), ("response_format", "verbose_json")]
        + [(name, json.dumps(value)) for name, value in given.items()]
    )

    assert request.chunking_strategy == ServerVad(type="server_vad")
    assert (request.timestamp_granularities, request.languages) == (("word",), ("de",))


def test_words_of_a_choice_count_in_any_case() -> None:
    """JSON, Word and AUTO are json, word and auto; True is true."""
    request = parse_transcription(
        [
            ("model", "m"),
            ("response_format", " Verbose_JSON "),
            ("timestamp_granularities", '["Word"]'),
            ("chunking_strategy", "AUTO"),
            ("stream", " True"),
            ("channels", "Speakers"),
        ]
    )

    assert (request.response_format, request.chunking_strategy, request.stream) == (
        "verbose_json",
        "auto",
        True,
    )
    assert (request.timestamp_granularities, request.channels) == (("word",), "speakers")


def test_commas_part_words_but_not_phrases() -> None:
    """Lists of codes and choices may be one field; a keyword keeps its comma."""
    request = parse_transcription(
        [
            ("model", "m"),
            ("response_format", "verbose_json"),
            ("timestamp_granularities", "word, segment"),
            ("languages", "en,German,,es-MX"),
            ("keywords", "Lovelace, Ada"),
        ]
    )

    assert request.timestamp_granularities == ("word", "segment")
    assert request.languages == ("en", "de", "es")
    assert request.keywords == ("Lovelace, Ada",)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("langauge", "language"),
        ("timestamp_granularity[]", "timestamp_granularities"),
        ("reponse_format", "response_format"),
        ("Stream", "stream"),
        ("language", None),
        ("keywords[]", None),
        ("chunking_strategy[type]", None),
        ("user", None),
        ("temperature_inc", "temperature"),
        ("langu\u00e4ge", None),
        ("langua\nge", None),
        ('langu"age', None),
        ("", None),
    ],
)
def test_slips_of_the_pen_are_recognized(name: str, meant: str | None) -> None:
    """What is nearly a field of ours is one; what is one, or none, is not told."""
    assert misspelt([(name, "x")], FIELDS) == ({} if meant is None else {name.removesuffix("[]"): meant})


def test_translations_know_fewer_fields() -> None:
    """What only transcriptions have is ignored, even where its value is nonsense."""
    fields = [("model", "m"), ("include[]", "nonsense"), ("response_format", "srt"), ("track", "2")]
    request = parse_translation(fields)

    assert request.include == ()
    assert (request.response_format, request.track) == ("srt", 2)


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


@pytest.mark.parametrize(
    "fields",
    [
        [("include[]", "logprobs")],
        [("include", "logprobs")],
        [("include[0]", "logprobs")],
        [("include", '["logprobs"]')],
    ],
)
def test_lists_in_every_encoding(fields: list[tuple[str, str]]) -> None:
    """Bracketed, plain, indexed and JSON lists are one list."""
    assert decode_form(fields) == {"include": ["logprobs"]}


def test_an_extra_body_is_the_form() -> None:
    """Node's SDK sends it as fields, of OpenAI's own example, too; what it is merged with stays."""
    fields = [
        ("model", "gpt-4o-transcribe-diarize"),
        ("extra_body[known_speaker_names][]", "agent"),
        ("extra_body[known_speaker_references][]", "data:audio/wav;base64,AAAA"),
        ("extra_body[chunking_strategy][type]", "server_vad"),
        ("extra_body[num_speakers]", "2"),
    ]

    assert decode_form(fields) == {
        "model": "gpt-4o-transcribe-diarize",
        "known_speaker_names": ["agent"],
        "known_speaker_references": ["data:audio/wav;base64,AAAA"],
        "chunking_strategy": {"type": "server_vad"},
        "num_speakers": "2",
    }


def test_repeated_list_fields_keep_their_order() -> None:
    """A list grows by one with each part."""
    fields = [("keywords[]", "a"), ("keywords[]", "b"), ("keywords", "c")]

    assert decode_form(fields) == {"keywords": ["a", "b", "c"]}


def test_known_speakers_keep_their_places() -> None:
    """An empty name among others is not left out: the next one would have its channel or its reference."""
    fields = [("model", "m"), ("channels", "speakers")]
    names = ("known_speaker_names[]", "")

    assert parse_transcription([*fields, names, names]).known_speaker_names == ()
    with pytest.raises(InvalidRequestError) as caught:
        parse_transcription([*fields, names, ("known_speaker_names[]", "Bob")])

    assert caught.value.param == "known_speaker_names"


@pytest.mark.parametrize(
    "fields",
    [
        [("chunking_strategy[type]", "server_vad"), ("chunking_strategy[threshold]", "0.4")],
        [("chunking_strategy", '{"type": "server_vad", "threshold": "0.4"}')],
    ],
)
def test_objects_in_both_encodings(fields: list[tuple[str, str]]) -> None:
    """The SDK's brackets and curl's JSON string are one object."""
    assert decode_form(fields) == {"chunking_strategy": {"type": "server_vad", "threshold": "0.4"}}


def test_a_prompt_may_look_like_json() -> None:
    """Free text is never parsed."""
    assert decode_form([("prompt", '{"broken')]) == {"prompt": '{"broken'}


def test_bad_json_names_its_parameter() -> None:
    """A broken JSON value is the client's mistake, with its name."""
    with pytest.raises(InvalidRequestError) as caught:
        decode_form([("chunking_strategy", "{bad")])

    assert caught.value.param == "chunking_strategy"


def test_deeply_nested_json_is_refused() -> None:
    """JSON that exhausts the parser's stack is refused like any other."""
    with pytest.raises(InvalidRequestError):
        decode_form([("chunking_strategy", '{"a":' * 100_000)])


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20))))
def test_strangers_get_a_dict_or_a_refusal(fields: list[tuple[str, str]]) -> None:
    """Any list of names and values gives a dict or an InvalidRequestError."""
    with suppress(InvalidRequestError):
        assert isinstance(decode_form(fields), dict)


class Inner(BaseModel):
    """One field."""

    size: int


class Outer(BaseModel):
    """A field with a field."""

    inner: Inner
    name: str = "none"


@pytest.mark.parametrize("data", ['{"a": "ü"}', '{"a": "ü"}'.encode(), '{"a": "\\u00fc"}'])
def test_read(data: str | bytes) -> None:
    """Text, or bytes of UTF-8."""
    assert read_object(data) == {"a": "ü"}


@pytest.mark.parametrize(
    "data",
    [
        "",
        "no",
        "[]",
        "5",
        "null",
        b"\xff\xfe",
        '{"a": 1}'.encode("utf-16"),
        "{" * 100_000,
        '{"a":' * 100_000,
        "[" * 100_000,
        '{"a": ' + "9" * 5_000 + "}",
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": "\\ud83d"}',
        '{"\\uDE00": 1}',
        '{"a": "\ud83d"}',
        b'{"a": "\xed\xa0\xbd"}',
    ],
)
def test_what_is_no_object(data: str | bytes) -> None:
    """Broken, too deep, too long a number, JavaScript's constants, half a character, another encoding."""
    with pytest.raises(InvalidRequestError) as caught:
        read_object(data)

    assert caught.value.code == "invalid_json"


@given(st.one_of(st.text(), st.binary()))
def test_garbage(data: str | bytes) -> None:
    """Anything at all is an object or refused."""
    with suppress(InvalidRequestError):
        assert isinstance(read_object(data), dict)


def test_whole_pairs() -> None:
    """Clients that write ASCII only send an emoji as two escapes."""
    assert read_object('{"a": "\\ud83d\\ude00"}') == {"a": "😀"}


def test_as_object() -> None:
    """Null is an empty object, all else is none."""
    assert as_object({"a": 1}, "x") == {"a": 1}
    assert as_object(None, "x") == {}
    wrong: list[object] = [[], "a", 5, False]
    for value in wrong:
        with pytest.raises(InvalidRequestError, match=r"'x\.y': It is an object") as caught:
            as_object(value, "x.y")
        assert caught.value.param == "x.y"


def test_validated() -> None:
    """A null is as good as no field."""
    assert validated(Outer, {"inner": {"size": 1}, "name": None}, "o") == Outer(inner=Inner(size=1))


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({}, "a.b.inner", "missing_required_parameter"),
        ({"inner": {}}, "a.b.inner.size", "missing_required_parameter"),
        ({"inner": {"size": "x"}}, "a.b.inner.size", "invalid_value"),
        ({"inner": {"size": 1}, "name": 5}, "a.b.name", "invalid_value"),
    ],
)
def test_the_whole_path(fields: dict[str, Any], param: str, code: str) -> None:
    """The parameter counts from the body, and the message names it, too."""
    with pytest.raises(InvalidRequestError) as caught:
        validated(Outer, fields, "a.b")

    assert (caught.value.param, caught.value.code) == (param, code)
    assert f"'{param}'" in caught.value.message


def test_invalid_value() -> None:
    """Message, parameter and code as all other refusals have them."""
    error = invalid_value("a.b", "It is 5")

    assert (error.message, error.param, error.code) == (
        "Invalid value for 'a.b': It is 5.",
        "a.b",
        "invalid_value",
    )
