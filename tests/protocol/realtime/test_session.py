"""Invariant: whatever frames a peer sends, in whatever order, nothing raises and every answer is valid."""

import base64
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import EngineFailedError, InvalidRequestError
from gateway.protocol.realtime.config import LOGPROBS, SessionConfig
from gateway.protocol.realtime.session import RealtimeProtocol
from gateway.transcript.commands import Append, Clear, Commit, Configure
from tests.protocol.realtime.wire import TOKENS, TRANSCRIPT, check_frame

CONFIG = SessionConfig.default("whisper-1")


def open_session(config: SessionConfig = CONFIG, expires_at: int | None = None) -> RealtimeProtocol:
    """A session whose events count from 1."""
    numbers = itertools.count(1)
    return RealtimeProtocol(
        config, session_id="sess_1", new_event_id=lambda: f"event_{next(numbers)}", expires_at=expires_at
    )


def drained(protocol: RealtimeProtocol) -> list[dict[str, Any]]:
    """All new events, each checked."""
    return [check_frame(frame) for frame in protocol.events_to_send()]


def started() -> RealtimeProtocol:
    """A session that has said hello."""
    protocol = open_session()
    protocol.events_to_send()
    return protocol


def test_created_comes_first() -> None:
    """At once, with settings, id and end."""
    protocol = open_session(expires_at=1_800_000_000)
    (event,) = drained(protocol)

    assert event["type"] == "session.created"
    assert event["session"]["id"] == "sess_1"
    assert event["session"]["expires_at"] == 1_800_000_000
    assert protocol.events_to_send() == []


def test_configured() -> None:
    """New settings are in force and told in full."""
    protocol = started()
    config = CONFIG.updated({"include": [LOGPROBS]})
    protocol.configured(config)
    (event,) = drained(protocol)

    assert protocol.config == config
    assert event["type"] == "session.updated"
    assert event["session"]["include"] == [LOGPROBS]
    assert event["session"]["id"] == "sess_1"


def test_a_turn() -> None:
    """Speech, commit, text: in the order they were reported, with ids of their own."""
    protocol = started()
    protocol.speech_started("item_1", 200)
    protocol.delta("item_1", "Grüße", TOKENS, logprobs=False)
    protocol.speech_stopped("item_1", 1_500)
    protocol.committed("item_1")
    protocol.completed("item_1", TRANSCRIPT, model="whisper-1", logprobs=True)
    events = drained(protocol)

    assert [event["type"] for event in events] == [
        "input_audio_buffer.speech_started",
        "conversation.item.input_audio_transcription.delta",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.completed",
    ]
    assert [event["event_id"] for event in events] == [f"event_{n}" for n in range(2, 9)]
    assert "logprobs" not in events[1]
    assert len(events[-1]["logprobs"]) == 2


def test_items_are_chained() -> None:
    """Each names the one before, in all three events; the first has none. A failed one is a link, too."""
    protocol = started()
    for item_id in ("item_1", "item_2", "item_3"):
        protocol.committed(item_id)
        protocol.failed(item_id, EngineFailedError("Could not be decoded."))
    events = [event for event in drained(protocol) if "previous_item_id" in event]

    assert [event["previous_item_id"] for event in events] == [None] * 3 + ["item_1"] * 3 + ["item_2"] * 3
    assert [event.get("item_id") or event["item"]["id"] for event in events[::3]] == [
        "item_1",
        "item_2",
        "item_3",
    ]


@pytest.mark.parametrize(
    ("report", "kind"),
    [
        (lambda p: p.cleared(), "input_audio_buffer.cleared"),
        (lambda p: p.timeout_triggered("i", 0, 6_000), "input_audio_buffer.timeout_triggered"),
        (
            lambda p: p.failed("i", EngineFailedError("No.")),
            "conversation.item.input_audio_transcription.failed",
        ),
        (lambda p: p.refused(InvalidRequestError("No."), None), "error"),
    ],
)
def test_single_events(report: Callable[[RealtimeProtocol], None], kind: str) -> None:
    """One report, one event."""
    protocol = started()
    report(protocol)

    assert [event["type"] for event in drained(protocol)] == [kind]


def test_receive() -> None:
    """A right frame is a command and says nothing."""
    protocol = started()

    assert protocol.receive('{"type": "input_audio_buffer.commit", "event_id": "c"}') == Commit("c")
    assert protocol.receive(b'{"type": "input_audio_buffer.append", "audio": "AAA="}') == Append(b"\0\0")
    assert protocol.events_to_send() == []


@pytest.mark.parametrize(
    ("frame", "client_event_id"),
    [('{"type": "response.create", "event_id": "mine"}', "mine"), ("garbage", None), (b"\xff", None)],
)
def test_mistakes_are_answered(frame: str | bytes, client_event_id: str | None) -> None:
    """One `error` event, with the client's id where there is one; the session goes on."""
    protocol = started()

    assert protocol.receive(frame) is None
    (event,) = drained(protocol)
    assert event["type"] == "error"
    assert event["error"]["type"] == "invalid_request_error"
    assert event["error"]["event_id"] == client_event_id
    assert protocol.receive('{"type": "input_audio_buffer.clear"}') == Clear()


def obey(protocol: RealtimeProtocol, frame: str | bytes, item_id: str) -> None:
    """What a live session does with a frame, at its plainest."""
    match protocol.receive(frame):
        case Configure(session, event_id):
            try:
                protocol.configured(protocol.config.updated(session))
            except InvalidRequestError as error:
                protocol.refused(error, event_id)
        case Commit():
            protocol.committed(item_id)
            model = protocol.config.transcription.model if protocol.config.transcription else "whisper-1"
            protocol.completed(item_id, TRANSCRIPT, model=model, logprobs=protocol.config.wants_logprobs)
        case Clear():
            protocol.cleared()
        case Append():
            protocol.delta(item_id, "Grüße", TOKENS, logprobs=protocol.config.wants_logprobs)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(alphabet=st.characters(), max_size=8),
    st.sampled_from([10**400, "server_vad", "semantic_vad", "gpt-live-transcribe", "audio/pcmu", 16_000]),
)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)
VALID: list[dict[str, Any]] = [
    {"type": "input_audio_buffer.append", "audio": base64.b64encode(b"sample").decode(), "event_id": "a"},
    {"type": "input_audio_buffer.commit", "event_id": "b"},
    {"type": "input_audio_buffer.clear"},
    {"type": "response.create", "response": {}},
    {
        "type": "session.update",
        "event_id": "c",
        "session": {
            "type": "transcription",
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24_000},
                    "transcription": {"model": "gpt-4o-transcribe", "language": "en", "keywords": ["a"]},
                    "noise_reduction": {"type": "near_field", "strength": 0.5},
                    "turn_detection": {"type": "server_vad", "threshold": 0.4, "idle_timeout_ms": 6_000},
                }
            },
            "include": [LOGPROBS],
        },
    },
    {"type": "session.update", "session": {"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}},
    {
        "type": "session.update",
        "session": {"audio": {"input": {"transcription": {"model": "gpt-live-transcribe"}}}},
    },
]


@st.composite
def frames(draw: st.DrawFn) -> str | bytes:
    """Right events, events with one value replaced or dropped, damaged text, and garbage."""
    how = draw(st.sampled_from(["right", "replaced", "dropped", "damaged", "text", "bytes"]))
    if how == "text":
        return draw(st.text(alphabet=st.characters()))
    if how == "bytes":
        return draw(st.binary())
    event = json.loads(json.dumps(draw(st.sampled_from(VALID))))
    if how in {"replaced", "dropped"}:
        place = event
        name = draw(st.sampled_from(sorted(place)))
        while isinstance(place[name], dict) and place[name] and draw(st.integers(0, 4)):
            place = place[name]
            name = draw(st.sampled_from(sorted(place)))
        if how == "dropped":
            del place[name]
        else:
            place[name] = draw(ANY_JSON)
    text = json.dumps(event)
    if how == "damaged":
        start = draw(st.integers(0, len(text)))
        text = text[:start] + draw(st.text(max_size=3)) + text[start + draw(st.integers(0, 3)) :]
    return text.encode("utf-8", "surrogatepass") if draw(st.booleans()) else text


@settings(max_examples=300, deadline=None)
@given(st.lists(frames(), max_size=8))
def test_any_frames(sent: list[str | bytes]) -> None:
    """The invariant; and each mistake is answered at once, so that it can be told which one it was."""
    protocol = started()
    for n, frame in enumerate(sent):
        obey(protocol, frame, f"item_{n}")
        assert len(drained(protocol)) in {1, 4}


@given(st.lists(frames(), max_size=8))
def test_draining_changes_nothing(sent: list[str | bytes]) -> None:
    """Drained after each frame or once at the end: the same frames in the same order."""
    whole, stepwise = open_session(), open_session()
    answers: list[str] = []
    for n, frame in enumerate(sent):
        obey(whole, frame, f"item_{n}")
        obey(stepwise, frame, f"item_{n}")
        answers += stepwise.events_to_send()
    answers += stepwise.events_to_send()

    assert answers == whole.events_to_send()
