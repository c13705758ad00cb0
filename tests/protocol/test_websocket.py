"""The query reads like the form, says what the frames hold, and refusals have the right close codes."""

from urllib.parse import urlencode

import pytest

from gateway.errors import (
    AuthenticationError,
    EngineFailedError,
    GatewayError,
    InvalidAudioError,
    InvalidRequestError,
    ModelNotFoundError,
    OverloadedError,
    PayloadTooLargeError,
    ShuttingDownError,
    UnavailableError,
    UploadTimeoutError,
)
from gateway.protocol.parse import parse_transcription
from gateway.protocol.websocket import MAX_REASON_BYTES, check_text, close_code, close_reason, parse_query

FIELDS = [
    ("model", "whisper-1"),
    ("language", "en"),
    ("prompt", "Größe & Maß + 50 %"),
    ("include[]", "logprobs"),
    ("keywords", "one"),
    ("keywords", "two"),
    ("languages", '["en", "de"]'),
    ("chunking_strategy[type]", "server_vad"),
    ("chunking_strategy[threshold]", "0.4"),
    ("temperature", "0.5"),
]


def test_the_query_is_the_form() -> None:
    """Brackets, repeats, JSON and any text mean what they mean in the POST; `stream` is implied."""
    query = parse_query(urlencode(FIELDS))

    assert query.request == parse_transcription([*FIELDS, ("stream", "true")])
    assert query.pcm_rate is None


def test_json_values() -> None:
    """A VAD object may be one JSON value."""
    query = parse_query(
        urlencode({"model": "m", "chunking_strategy": '{"type": "server_vad", "threshold": 0.3}'})
    )

    assert (
        query.request.chunking_strategy
        == parse_transcription(
            [
                ("model", "m"),
                ("chunking_strategy[type]", "server_vad"),
                ("chunking_strategy[threshold]", "0.3"),
            ]
        ).chunking_strategy
    )


@pytest.mark.parametrize("value", ["true", "false", "nonsense", ""])
def test_stream_is_implied(value: str) -> None:
    """Whatever a client says about it."""
    assert parse_query(f"model=m&stream={value}").request.stream


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
def test_raw_samples(rate: int) -> None:
    """`format` and `sample_rate` are for the frames, not for the request, even under strict rules."""
    query = parse_query(f"model=whisper-1&format=pcm16&sample_rate={rate}&interim_results=false", strict=True)

    assert query.pcm_rate == rate
    assert query.request.model == "whisper-1"
    assert parse_query(f"model=whisper-1&format=PCM16&sample_rate={rate}").pcm_rate == rate


def test_nothing_written_out_is_nothing() -> None:
    """As in the form."""
    query = "model=m&format=null&sample_rate=undefined&interim_results=None"

    assert parse_query(query) == parse_query("model=m")


@pytest.mark.parametrize(("value", "wanted"), [("true", True), ("1", True), ("false", False), ("", False)])
def test_interim_results(value: str, *, wanted: bool) -> None:
    """Asked for in the words of a form, and no parameter of the request, even under strict rules."""
    query = parse_query(f"model=whisper-1&interim_results={value}", strict=True)

    assert query.interim_results is wanted
    assert not parse_query("model=m").interim_results
    assert query.request == parse_query("model=whisper-1", strict=True).request


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("", "model"),
        ("model=m&format=mp3&sample_rate=8000", "format"),
        ("model=m&format=pcm16", "sample_rate"),
        ("model=m&sample_rate=16000", "format"),
        ("model=m&format=pcm16&sample_rate=7999", "sample_rate"),
        ("model=m&format=pcm16&sample_rate=48001", "sample_rate"),
        ("model=m&format=pcm16&sample_rate=fast", "sample_rate"),
        ("model=m&interim_results=perhaps", "interim_results"),
        ("model=m&response_format=srt", "response_format"),
        ("model=m&response_format=vtt", "response_format"),
        ("model=m&response_format=docx", "response_format"),
        ("model=m&temperature=hot", "temperature"),
        ("model=m&chunking_strategy={bad", "chunking_strategy"),
        ("model=m&channels=both", "channels"),
        ("model=m&channels=speakers&format=pcm16&sample_rate=8000", "channels"),
        ("model=m&channels=speakers&interim_results=true", "interim_results"),
        ("&".join(["a=1"] * 1001), None),
    ],
)
def test_refusals_name_the_parameter(query: str, param: str | None) -> None:
    """As in the POST."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_query(query)

    assert caught.value.param == param


def test_strict_rules_refuse_unknown_names() -> None:
    """Only under strict rules."""
    assert parse_query("model=m&colour=red").request.model == "m"
    with pytest.raises(InvalidRequestError) as caught:
        parse_query("model=m&colour=red", strict=True)

    assert caught.value.param == "colour"


def test_the_one_text_frame() -> None:
    """Other keys beside the type do not matter."""
    check_text('{"type":"input_audio.end"}')
    check_text(' {"event_id": 1, "type": "input_audio.end"} ')


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("", 1007),
        ("hello", 1007),
        ("[" * 100_000, 1007),
        ("null", 1003),
        ("[]", 1003),
        ("{}", 1003),
        ('"input_audio.end"', 1003),
        ('{"type":"session.update"}', 1003),
        ('{"type":["input_audio.end"]}', 1003),
    ],
)
def test_other_text_frames(frame: str, code: int) -> None:
    """What cannot be read and what is unknown have codes of their own; the error says what is right."""
    with pytest.raises(InvalidRequestError) as caught:
        check_text(frame)

    assert close_code(caught.value) == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AuthenticationError("x"), 1008),
        (InvalidRequestError("x"), 1008),
        (ModelNotFoundError("a", ("b",)), 1008),
        (UploadTimeoutError("x"), 1008),
        (InvalidAudioError(), 1007),
        (InvalidAudioError("x", code="audio_too_long"), 1009),
        (PayloadTooLargeError("x"), 1009),
        (OverloadedError("x"), 1013),
        (UnavailableError("x"), 1013),
        (ShuttingDownError(), 1012),
        (EngineFailedError("x"), 1011),
        (GatewayError("x"), 1011),
    ],
)
def test_close_codes(error: GatewayError, code: int) -> None:
    """Clients decide by them whether to try again."""
    assert close_code(error) == code


def test_reasons_fit() -> None:
    """A close frame is short, and a character is never cut."""
    assert close_reason(GatewayError("short")) == "short"
    reason = close_reason(GatewayError("ä" * 100))

    assert reason == "ä" * (MAX_REASON_BYTES // 2)
