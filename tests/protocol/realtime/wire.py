"""Holds what we send against the official package's types: nothing missing, nothing wrong, nothing more."""

import json
from collections.abc import Mapping
from typing import Any, get_args

from openai.types.realtime import RealtimeServerEvent, RealtimeTranscriptionSessionCreateResponse
from pydantic import BaseModel, ValidationError

from gateway.transcript import Segment, Token, Transcript

EVENT_TYPES: tuple[type[BaseModel], ...] = get_args(get_args(RealtimeServerEvent)[0])

TOKENS = (Token(1, "Grü", "Grü".encode(), -0.25), Token(2, "ße", "ße".encode(), -0.5))
SEGMENT = Segment(0.0, 1.0, " Grüße", TOKENS, (), -0.3, 1.0, 0.0, 0.0)
TRANSCRIPT = Transcript("Grüße", "de", ("de",), 1.25, (SEGMENT,), TOKENS, prompt_tokens=3)

_IDENTITY = ("id", "object", "expires_at")


def check(kind: type[BaseModel], value: object) -> BaseModel:
    """Parses strictly, as JSON's own types; keys that the type does not have fail, at any depth."""
    parsed = kind.model_validate(value, strict=True)
    extra = list(_extra_keys(parsed, kind.__name__))

    assert extra == []
    return parsed


def _extra_keys(value: object, path: str) -> list[str]:
    if isinstance(value, BaseModel):
        found = [f"{path}.{name}" for name in value.model_extra or {}]
        for name in type(value).model_fields:
            found += _extra_keys(getattr(value, name), f"{path}.{name}")
        return found
    if isinstance(value, list):
        return [key for n, each in enumerate(value) for key in _extra_keys(each, f"{path}[{n}]")]
    return []


def check_frame(frame: str) -> dict[str, Any]:
    """The event in a text frame, which exactly one of the package's server events describes."""
    frame.encode()
    event: dict[str, Any] = json.loads(frame)
    # How the session is taken up again is an extension, of a few events.
    documented = {name: value for name, value in event.items() if name not in {"resume", "interrupted"}}
    assert "resume" not in event or event["type"].endswith("session.created"), event
    assert "interrupted" not in event or event["type"].endswith((".completed", ".failed")), event
    if "session" in event:
        # The package's events have the type of a request there; what only an answer has is in another type.
        session = documented["session"] = _with_documented_rate(event["session"])
        identity = {name: session.pop(name) for name in _IDENTITY if name in session}
        check(RealtimeTranscriptionSessionCreateResponse, {"type": session["type"], **identity})
    matching = [kind for kind in EVENT_TYPES if _parses(kind, documented)]

    assert len(matching) == 1, event
    check(matching[0], documented)
    return event


def _with_documented_rate(session: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with the one rate that OpenAI's PCM has; ours may have others."""
    copy: dict[str, Any] = json.loads(json.dumps(session))
    wire_format = copy["audio"]["input"]["format"]
    if "rate" in wire_format:
        assert 8_000 <= wire_format["rate"] <= 48_000
        wire_format["rate"] = 24_000
    return copy


def _parses(kind: type[BaseModel], value: object) -> bool:
    try:
        kind.model_validate(value, strict=True)
    except ValidationError:
        return False
    return True
