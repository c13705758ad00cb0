"""The one reader of client events: a frame in, a command or a refusal out."""

import base64
from collections.abc import Mapping
from typing import Any

from gateway.errors import InvalidRequestError
from gateway.protocol.parse import invalid_value, missing, read_object
from gateway.transcript.commands import Append, Clear, Command, Commit, Configure
from gateway.transcript.events import Refused

MAX_APPEND_BYTES = 15 * 1024 * 1024
"""The most audio in one append, as decoded from base64."""

MAX_EVENT_ID_CHARACTERS = 512

MAX_OTHER_CHARACTERS = 512 * 1024
"""The longest frame of another event. A prompt has up to 65,536 characters, each of which JSON may escape."""

MAX_FRAME_BYTES = 24 * 1024 * 1024
"""What a WebSocket must let through: the longest append is 20 MiB of base64; some escape its slashes."""

TYPES = (
    "session.update",
    "transcription_session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
)

_OF_CONVERSATIONS = frozenset({
    "conversation.item.create",
    "conversation.item.delete",
    "conversation.item.retrieve",
    "conversation.item.truncate",
    "output_audio_buffer.clear",
    "response.cancel",
    "response.create",
})  # fmt: skip

_MAX_BASE64 = (MAX_APPEND_BYTES + 2) // 3 * 4
_SLICE_CHARACTERS = 256 * 1024
_SHOWN_CHARACTERS = 64


def parse_command(frame: str | bytes) -> Command | Refused:
    """Reads one frame, whatever it holds; a binary one may hold the same JSON."""
    event_id = None
    try:
        event = read_object(frame)
        event_id = _event_id(event.get("event_id"))
        if event.get("type") != "input_audio_buffer.append":
            _check_length(frame)
        return _command(event, event_id)
    except InvalidRequestError as error:
        return Refused(error, event_id)


def _check_length(frame: str | bytes) -> None:
    if len(frame) > MAX_OTHER_CHARACTERS:
        raise InvalidRequestError(
            f"Only 'input_audio_buffer.append' may be longer than {MAX_OTHER_CHARACTERS} characters.",
            code="string_above_max_length",
        )


def _command(event: Mapping[str, Any], event_id: str | None) -> Command:
    match event.get("type"):
        case "input_audio_buffer.append":
            return Append(_audio(event.get("audio")))
        case "input_audio_buffer.commit":
            return Commit(event_id)
        case "input_audio_buffer.clear":
            return Clear()
        case "session.update":
            return Configure(_session(event.get("session")), event_id)
        case "transcription_session.update":
            return Configure(_session(event.get("session")), event_id, flat=True)
        case None:
            raise missing("type")
        case str(name) if name in _OF_CONVERSATIONS:
            raise InvalidRequestError(
                f"'{name}' is not supported in transcription sessions.",
                param="type",
                code="unsupported_value",
            )
        case name:
            shown = ascii(name)[:_SHOWN_CHARACTERS] if isinstance(name, str) else "no string"
            known = ", ".join(map(repr, TYPES))
            raise invalid_value("type", f"{shown}. Supported values are: {known}")


def _event_id(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_EVENT_ID_CHARACTERS:
        raise invalid_value("event_id", f"It is a string of at most {MAX_EVENT_ID_CHARACTERS} characters")
    return value


def _audio(value: object) -> bytes:
    if value is None:
        raise missing("audio")
    if not isinstance(value, str):
        raise invalid_value("audio", "It is a base64 string")
    if len(value) > _MAX_BASE64:
        raise InvalidRequestError(
            f"One append holds at most {MAX_APPEND_BYTES} bytes of audio.",
            param="audio",
            code="string_above_max_length",
        )
    try:
        return _decoded(value)
    except ValueError:
        raise invalid_value("audio", "It is not valid base64") from None


def _decoded(value: str) -> bytes:
    """The bytes, slice by slice: a thread that decodes 15 MiB at once stops all others for 30 ms.

    Raises:
        ValueError: It is not base64.
    """
    if "=" in value[:-2]:
        raise ValueError("padding within")
    slices = [
        base64.b64decode(value[at : at + _SLICE_CHARACTERS], validate=True)
        for at in range(0, len(value), _SLICE_CHARACTERS)
    ]
    return slices[0] if len(slices) == 1 else b"".join(slices)


def _session(value: object) -> Mapping[str, Any]:
    if value is None:
        raise missing("session")
    if not isinstance(value, dict):
        raise invalid_value("session", "It is an object")
    return value
