"""The server's events as JSON objects; each gets its `event_id` where it is sent."""

from typing import Any

from gateway.errors import GatewayError
from gateway.protocol.events import encode, error_body, logprobs
from gateway.protocol.names import is_prefixed
from gateway.protocol.realtime.config import SessionConfig
from gateway.protocol.usage import usage_for
from gateway.transcript import Token, Transcript

Event = dict[str, Any]

_TRANSCRIPTION = "conversation.item.input_audio_transcription"


def session_object(config: SessionConfig, *, session_id: str, expires_at: int | None) -> dict[str, Any]:
    """The settings, and what the session is called; ``expires_at`` in seconds since 1970."""
    identity: dict[str, Any] = {"id": session_id, "object": "realtime.transcription_session"}
    if expires_at is not None:
        identity["expires_at"] = expires_at
    return identity | config.to_wire()


def session_created(session: dict[str, Any]) -> Event:
    """The first event of all."""
    return {"type": "session.created", "session": session}


def session_updated(session: dict[str, Any]) -> Event:
    """Other settings hold from here on."""
    return {"type": "session.updated", "session": session}


def speech_started(item_id: str, audio_start_ms: int) -> Event:
    """``audio_start_ms`` counts from the session's first sample, the prefix padding included."""
    return {
        "type": "input_audio_buffer.speech_started",
        "item_id": item_id,
        "audio_start_ms": audio_start_ms,
    }


def speech_stopped(item_id: str, audio_end_ms: int) -> Event:
    """``audio_end_ms`` counts from the session's first sample, the silence included."""
    return {"type": "input_audio_buffer.speech_stopped", "item_id": item_id, "audio_end_ms": audio_end_ms}


def timeout_triggered(item_id: str, audio_start_ms: int, audio_end_ms: int) -> Event:
    """Nobody spoke for as long as `idle_timeout_ms` says."""
    return {
        "type": "input_audio_buffer.timeout_triggered",
        "item_id": item_id,
        "audio_start_ms": audio_start_ms,
        "audio_end_ms": audio_end_ms,
    }


def committed(item_id: str, previous_item_id: str | None) -> Event:
    """The buffer's audio has become an item."""
    return {
        "type": "input_audio_buffer.committed",
        "previous_item_id": previous_item_id,
        "item_id": item_id,
    }


def cleared() -> Event:
    """The buffer is empty again."""
    return {"type": "input_audio_buffer.cleared"}


def item_added(item_id: str, previous_item_id: str | None) -> Event:
    """The item, at its beginning."""
    return {
        "type": "conversation.item.added",
        "previous_item_id": previous_item_id,
        "item": _item(item_id),
    }


def item_done(item_id: str, previous_item_id: str | None) -> Event:
    """The item, complete but for its transcript, which has events of its own."""
    return item_added(item_id, previous_item_id) | {"type": "conversation.item.done"}


def _item(item_id: str) -> dict[str, Any]:
    return {
        "id": item_id,
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": None}],
    }


def delta(item_id: str, text: str, tokens: tuple[Token, ...], *, with_logprobs: bool) -> Event:
    """More text of an item."""
    event = {"type": f"{_TRANSCRIPTION}.delta", "item_id": item_id, "content_index": 0, "delta": text}
    return event | _logprobs(tokens, wanted=with_logprobs)


def completed(item_id: str, transcript: Transcript, *, model: str, with_logprobs: bool) -> Event:
    """An item's whole text, and what it cost as the name ``model`` lets the client expect."""
    # A prefixed name's usage counts both ways over HTTP; the events of a session know one way at a time.
    name = model.partition("/")[2] if is_prefixed(model) else model
    event = {
        "type": f"{_TRANSCRIPTION}.completed",
        "item_id": item_id,
        "content_index": 0,
        "transcript": transcript.text,
        "usage": usage_for(name, transcript),
        "languages": [{"code": code} for code in transcript.languages],
    }
    return event | _logprobs(transcript.tokens, wanted=with_logprobs)


def _logprobs(tokens: tuple[Token, ...], *, wanted: bool) -> dict[str, Any]:
    # An utterance that was under way when `include` changed was decoded without.
    if not wanted or any(token.logprob is None for token in tokens):
        return {}
    return {"logprobs": logprobs(tokens)}


def failed(item_id: str, error: GatewayError) -> Event:
    """This one item has no transcript; the session goes on."""
    return {
        "type": f"{_TRANSCRIPTION}.failed",
        "item_id": item_id,
        "content_index": 0,
        **error_body(error),
    }


def refused(error: GatewayError, client_event_id: str | None) -> Event:
    """`error`, for a client's mistake; ``client_event_id`` is that of the event at fault."""
    return {"type": "error", "error": {**error_body(error)["error"], "event_id": client_event_id}}


def frame(event: Event, event_id: str) -> str:
    """An event as the text frame it is sent in."""
    return encode({"event_id": event_id, **event})


def error_frame(error: GatewayError, event_id: str, client_event_id: str | None = None) -> str:
    """An `error` event as a text frame, before any session exists, too."""
    return frame(refused(error, client_event_id), event_id)
