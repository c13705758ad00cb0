"""Client events are read as the official clients send them; mistakes are named, with the event's own id."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.realtime import InputAudioBufferAppendEvent, SessionUpdateEvent

from gateway.errors import InvalidRequestError
from gateway.protocol.realtime.commands import (
    MAX_APPEND_BYTES,
    MAX_FRAME_BYTES,
    MAX_OTHER_CHARACTERS,
    TYPES,
    parse_command,
)
from gateway.transcript.commands import Append, Clear, Commit, Configure
from gateway.transcript.events import Refused

AUDIO = bytes(range(256)) * 3


def append(audio: object, **more: Any) -> str:
    """An append's frame."""
    return json.dumps({"type": "input_audio_buffer.append", "audio": audio, **more})


def mistake(frame: str | bytes) -> Refused:
    """The refusal of this frame."""
    refused = parse_command(frame)
    assert isinstance(refused, Refused)
    return refused


@pytest.mark.parametrize("audio", [b"", b"\x01", AUDIO])
def test_append(audio: bytes) -> None:
    """Any number of bytes, down to one and none."""
    assert parse_command(append(base64.b64encode(audio).decode())) == Append(audio)


@pytest.mark.parametrize("encode", [str.encode, str])
def test_text_and_binary_frames(encode: Any) -> None:
    """The same JSON, whatever the frame's kind."""
    assert parse_command(encode('{"type": "input_audio_buffer.commit", "event_id": "é"}')) == Commit("é")


@pytest.mark.parametrize(
    ("event", "command"),
    [
        ({"type": "input_audio_buffer.commit"}, Commit(None)),
        ({"type": "input_audio_buffer.clear", "event_id": "c1"}, Clear()),
        ({"type": "input_audio_buffer.clear", "event_id": None, "surprise": 1}, Clear()),
        (
            {"type": "session.update", "session": {"type": "transcription"}, "event_id": "u"},
            Configure({"type": "transcription"}, "u"),
        ),
        ({"type": "session.update", "session": {}}, Configure({}, None)),
        ({"type": "transcription_session.update", "session": {}}, Configure({}, None, flat=True)),
    ],
)
def test_the_other_events(event: dict[str, Any], command: object) -> None:
    """With and without the client's id; unknown fields are nothing."""
    assert parse_command(json.dumps(event)) == command


def test_what_the_python_package_sends() -> None:
    """Its models, made JSON the way its connection does it."""
    update = SessionUpdateEvent.model_validate(
        {
            "type": "session.update",
            "session": {"type": "transcription", "audio": {"input": {"turn_detection": None}}},
        }
    )
    audio = InputAudioBufferAppendEvent(
        type="input_audio_buffer.append", audio=base64.b64encode(AUDIO).decode()
    )

    assert parse_command(update.to_json(use_api_names=True, exclude_unset=True)) == Configure(
        {"type": "transcription", "audio": {"input": {"turn_detection": None}}}, None
    )
    assert parse_command(audio.to_json(use_api_names=True, exclude_unset=True)) == Append(AUDIO)


@pytest.mark.slow
def test_the_longest_append() -> None:
    """15 MiB of audio as decoded, in a frame below the limit of frames; one byte more is refused."""
    longest = append(base64.b64encode(bytes(MAX_APPEND_BYTES)).decode())

    assert len(longest) < MAX_FRAME_BYTES
    assert parse_command(longest) == Append(bytes(MAX_APPEND_BYTES))
    refused = mistake(append(base64.b64encode(bytes(MAX_APPEND_BYTES + 1)).decode(), event_id="big"))
    assert (refused.error.param, refused.error.code, refused.event_id) == (
        "audio",
        "string_above_max_length",
        "big",
    )


@pytest.mark.parametrize(
    ("event", "param", "code"),
    [
        ({}, "type", "missing_required_parameter"),
        ({"type": 5}, "type", "invalid_value"),
        ({"type": {"a": []}}, "type", "invalid_value"),
        ({"type": "input_audio_buffer.surprise"}, "type", "invalid_value"),
        ({"type": "\0ü" * 20_000}, "type", "invalid_value"),
        ({"type": "input_audio_buffer.append"}, "audio", "missing_required_parameter"),
        ({"type": "input_audio_buffer.append", "audio": 5}, "audio", "invalid_value"),
        ({"type": "input_audio_buffer.append", "audio": "AAA"}, "audio", "invalid_value"),
        ({"type": "input_audio_buffer.append", "audio": "AA-_"}, "audio", "invalid_value"),
        ({"type": "input_audio_buffer.append", "audio": "ÄÖÜß"}, "audio", "invalid_value"),
        ({"type": "session.update"}, "session", "missing_required_parameter"),
        ({"type": "session.update", "session": []}, "session", "invalid_value"),
    ],
)
def test_mistakes(event: dict[str, Any], param: str, code: str) -> None:
    """The parameter is named, and the event by its id."""
    refused = mistake(json.dumps(event | {"event_id": "mine"}))

    assert (refused.error.param, refused.error.code, refused.event_id) == (param, code, "mine")
    assert isinstance(refused.error, InvalidRequestError)
    assert len(refused.error.message) < 300
    assert refused.error.message.isascii()


@pytest.mark.parametrize(
    "name", ["response.create", "response.cancel", "conversation.item.create", "output_audio_buffer.clear"]
)
def test_events_of_conversations(name: str) -> None:
    """They are known, named, and not here."""
    refused = mistake(json.dumps({"type": name}))

    assert name in refused.error.message
    assert "transcription sessions" in refused.error.message
    assert refused.error.code == "unsupported_value"


@pytest.mark.parametrize("event_id", ["x" * 513, 5, ["x"], True])
def test_ids_that_cannot_be_sent_back(event_id: object) -> None:
    """Too long, or no string: the error carries none."""
    refused = mistake(json.dumps({"type": "input_audio_buffer.commit", "event_id": event_id}))

    assert (refused.error.param, refused.event_id) == ("event_id", None)


def test_the_longest_id() -> None:
    """512 characters."""
    frame = json.dumps({"type": "input_audio_buffer.commit", "event_id": "ü" * 512})

    assert parse_command(frame) == Commit("ü" * 512)


@pytest.mark.parametrize(
    "frame", ["", "[]", "{", b"\x00\xff", AUDIO, "[" * 10_000, '{"type": NaN}', '{"event_id": "\\ud800"}']
)
def test_what_is_no_event(frame: str | bytes) -> None:
    """Raw audio in a binary frame, broken JSON, another type, or half a character."""
    refused = mistake(frame)

    assert (refused.error.code, refused.event_id) == ("invalid_json", None)


def test_only_audio_may_be_long() -> None:
    """A megabyte of settings keeps the server busy, and is none."""
    refused = mistake(json.dumps({"type": "session.update", "session": {"x": "y" * MAX_OTHER_CHARACTERS}}))

    assert refused.error.code == "string_above_max_length"


@pytest.mark.parametrize("text", ["AAA=AAAA", "AA==" * 100_000, "A" * 262_145])
def test_base64_is_checked_across_slices(text: str) -> None:
    """What is wrong as a whole is wrong, wherever it is cut for decoding."""
    assert mistake(append(text)).error.param == "audio"


def test_long_audio_is_whole() -> None:
    """Slices join without a seam."""
    audio = bytes(range(256)) * 3_001

    assert parse_command(append(base64.b64encode(audio).decode())) == Append(audio)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES) | st.text(max_size=20)},
    optional={"event_id": _JSON, "audio": _JSON, "session": _JSON, "item": _JSON},
)


@pytest.mark.promise("whatever a live frame holds, it is a command or a refusal")
@given(st.text() | st.binary() | _JSON.map(json.dumps) | _EVENTS.map(json.dumps))
def test_any_frame(frame: str | bytes) -> None:
    """Nothing that a peer sends raises."""
    assert isinstance(parse_command(frame), Append | Clear | Commit | Configure | Refused)


@pytest.mark.parametrize(
    "frame", ["[" * 100_000, '{"a":' * 100_000, '{"type":' + "[" * 10_000 + "]" * 10_000]
)
def test_frames_without_end(frame: str) -> None:
    """No reader's stack is put to the test."""
    assert isinstance(parse_command(frame), Refused)
