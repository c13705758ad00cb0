"""Every event is what exactly one of the official types describes, with the keys and numbers clients read."""

import json
from dataclasses import replace

import pytest

from gateway.errors import EngineFailedError, InvalidRequestError, OverloadedError
from gateway.protocol.realtime import events
from gateway.protocol.realtime.config import SemanticVad, SessionConfig
from tests.protocol.realtime.wire import TOKENS, TRANSCRIPT, check_frame

CONFIG = SessionConfig.default("gpt-4o-transcribe")
SESSION = events.session_object(CONFIG, session_id="sess_1", expires_at=1_800_000_000)
EVENTS = [
    events.session_created(SESSION),
    events.session_updated(SESSION),
    events.session_updated(events.session_object(SessionConfig(), session_id="sess_1", expires_at=None)),
    events.session_updated(
        events.session_object(
            CONFIG.model_copy(update={"turn_detection": SemanticVad()}), session_id="sess_1", expires_at=None
        )
    ),
    events.speech_started("item_1", 0),
    events.speech_stopped("item_1", 1_500),
    events.timeout_triggered("item_1", 0, 6_000),
    events.committed("item_1", None),
    events.committed("item_2", "item_1"),
    events.cleared(),
    events.item_added("item_1", None),
    events.item_done("item_2", "item_1"),
    events.delta("item_1", "Grüße", TOKENS, with_logprobs=True),
    events.delta("item_1", "Grüße", TOKENS, with_logprobs=False),
    events.completed("item_1", TRANSCRIPT, model="gpt-transcribe", with_logprobs=True),
    events.completed("item_1", TRANSCRIPT, model="whisper-1", with_logprobs=False),
    events.completed("item_1", TRANSCRIPT, model="openai/whisper-1", with_logprobs=False),
    events.completed("item_1", TRANSCRIPT, model="openai/gpt-transcribe", with_logprobs=False),
    events.failed("item_1", EngineFailedError("Could not be decoded.")),
    events.refused(InvalidRequestError("No.", param="type", code="invalid_value"), "mine"),
    events.refused(OverloadedError("Full."), None),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["type"])
def test_event(event: events.Event) -> None:
    """Strictly one type of the package, no key too many; the id comes with the frame."""
    assert check_frame(events.frame(event, "event_1")) == {"event_id": "event_1", **event}


def test_session_object() -> None:
    """Settings and identity; an end only where there is one."""
    session = dict(SESSION)

    assert session == {
        "id": "sess_1",
        "object": "realtime.transcription_session",
        "expires_at": 1_800_000_000,
        **CONFIG.to_wire(),
    }
    assert "expires_at" not in events.session_object(CONFIG, session_id="s", expires_at=None)


def test_items() -> None:
    """A user's message that holds audio, whose transcript is still to come."""
    assert events.item_added("item_2", "item_1") == {
        "type": "conversation.item.added",
        "previous_item_id": "item_1",
        "item": {
            "id": "item_2",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        },
    }
    assert events.item_done("item_2", None)["item"] == events.item_added("item_2", None)["item"]


def test_logprobs_are_a_key_only_when_asked() -> None:
    """With values for every token, or not at all: what was decoded without has none to give."""
    blind = tuple(replace(token, logprob=None) for token in TOKENS)

    assert events.delta("i", "Grüße", TOKENS, with_logprobs=True)["logprobs"][1] == {
        "token": "ße",
        "logprob": -0.5,
        "bytes": [195, 159, 101],
    }
    assert "logprobs" not in events.delta("i", "Grüße", TOKENS, with_logprobs=False)
    assert "logprobs" not in events.delta("i", "Grüße", blind, with_logprobs=True)


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("whisper-1", {"type": "duration", "seconds": 2}),
        ("openai/whisper-1", {"type": "duration", "seconds": 2}),
        (
            "gpt-live-transcribe",
            {
                "type": "tokens",
                "input_tokens": 16,
                "output_tokens": 2,
                "total_tokens": 18,
                "input_token_details": {"audio_tokens": 13, "text_tokens": 3},
            },
        ),
    ],
)
def test_usage_goes_by_the_name(model: str, usage: dict[str, object]) -> None:
    """Seconds for whisper names, tokens for gpt names, and never both."""
    event = events.completed("i", TRANSCRIPT, model=model, with_logprobs=False)

    assert event["usage"] == usage
    assert event["languages"] == [{"code": "de"}]
    assert event["transcript"] == "Grüße"


def test_failed_and_refused() -> None:
    """All of an error's keys, in both envelopes; only the client's own mistake carries its event's id."""
    error = InvalidRequestError("No.", param="p", code="c")
    body = {"type": "invalid_request_error", "code": "c", "message": "No.", "param": "p"}

    assert events.failed("i", error)["error"] == body
    assert events.refused(error, "mine")["error"] == body | {"event_id": "mine"}


def test_error_frame() -> None:
    """It needs no session, and ends no line."""
    frame = events.error_frame(InvalidRequestError("a\u2028b"), "event_9")

    assert check_frame(frame)["error"]["message"] == "a\u2028b"
    assert frame.splitlines() == [frame]
    assert json.loads(frame)["event_id"] == "event_9"
    assert (
        check_frame(events.error_frame(OverloadedError("Full."), "e", "mine"))["error"]["event_id"] == "mine"
    )
