"""Invariant: whatever frames a peer sends, in whatever order, nothing raises and every answer is valid."""

import base64
import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.beta.realtime import ConversationItemCreatedEvent, TranscriptionSessionUpdatedEvent

from gateway.errors import EngineFailedError, InvalidRequestError
from gateway.protocol.realtime.config import LOGPROBS, SessionConfig
from gateway.protocol.realtime.parts import SemanticVad
from gateway.protocol.realtime.session import RealtimeProtocol, error_frame
from gateway.transcript import Word
from gateway.transcript.commands import Append, Clear, Command, Commit, Configure
from gateway.transcript.events import (
    BufferCleared,
    BufferCommitted,
    ItemCompleted,
    ItemDelta,
    ItemFailed,
    LiveEvent,
    Refused,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TimeoutTriggered,
)
from tests.protocol.realtime.wire import TOKENS, TRANSCRIPT, check_frame

CONFIG = SessionConfig.default("whisper-1")


def open_session(expires_at: int | None = None) -> RealtimeProtocol:
    """A session whose events count from 1."""
    numbers = itertools.count(1)
    return RealtimeProtocol(
        session_id="sess_1", new_event_id=lambda: f"event_{next(numbers)}", expires_at=expires_at
    )


def shown(protocol: RealtimeProtocol, *events: LiveEvent) -> list[dict[str, Any]]:
    """The frames' objects; each is strictly what exactly one of the official types describes."""
    return [check_frame(frame) for event in events for frame in protocol.send(event)]


SEMANTIC = CONFIG.model_copy(update={"turn_detection": SemanticVad()})
SINGLE: list[tuple[LiveEvent, dict[str, Any]]] = [
    (
        SpeechStarted("i", 0.2),
        {"type": "input_audio_buffer.speech_started", "item_id": "i", "audio_start_ms": 200},
    ),
    (
        SpeechStopped("i", 1.5),
        {"type": "input_audio_buffer.speech_stopped", "item_id": "i", "audio_end_ms": 1500},
    ),
    (
        TimeoutTriggered("i", 0.0, 6.0),
        {
            "type": "input_audio_buffer.timeout_triggered",
            "item_id": "i",
            "audio_start_ms": 0,
            "audio_end_ms": 6_000,
        },
    ),
    (BufferCleared(), {"type": "input_audio_buffer.cleared"}),
]


@pytest.mark.parametrize(("event", "expected"), SINGLE, ids=lambda value: type(value).__name__)
def test_single_events(event: LiveEvent, expected: dict[str, Any]) -> None:
    """One event, one frame, with an id of its own; seconds are milliseconds there."""
    assert shown(open_session(), event) == [{"event_id": "event_1", **expected}]


@pytest.mark.parametrize("config", [CONFIG, SessionConfig(), SEMANTIC])
def test_settings(config: SessionConfig) -> None:
    """In full, with the session's id and end, when it begins and when they change."""
    created, updated = shown(open_session(1_800_000_000), SessionCreated(CONFIG), SessionUpdated(config))

    identity = {"id": "sess_1", "object": "realtime.transcription_session", "expires_at": 1_800_000_000}
    assert created == {
        "event_id": "event_1",
        "type": "session.created",
        "session": identity | CONFIG.to_wire(),
    }
    assert updated == {
        "event_id": "event_2",
        "type": "session.updated",
        "session": identity | config.to_wire(),
    }


@pytest.mark.parametrize("config", [CONFIG, SessionConfig(), SEMANTIC])
def test_the_words_of_the_beta(config: SessionConfig) -> None:
    """Who asks in them is answered in them; who speaks them from the start is told all in them."""
    beta = RealtimeProtocol(session_id="sess_1", new_event_id=lambda: "event_1", beta=True)
    frames = [
        *beta.send(SessionCreated(config)),
        *open_session().send(SessionUpdated(config, flat=True)),
        *beta.send(BufferCommitted("item_1", 1.0)),
    ]
    created, updated, committed, item = map(json.loads, frames)

    assert created["type"] == "transcription_session.created"
    assert created["session"] == updated["session"]
    assert created["session"]["input_audio_format"] == "pcm16"
    secret = {"client_secret": {"value": "", "expires_at": 0}}
    TranscriptionSessionUpdatedEvent.model_validate(updated | {"session": updated["session"] | secret})
    assert committed["type"] == "input_audio_buffer.committed"
    ConversationItemCreatedEvent.model_validate(item, strict=True)


def test_word_times() -> None:
    """An extension, for who asked: on the session's clock, as are the times of speech."""
    words = (Word(1.0, 1.5, " Grüße,", 0.9), Word(1.5, 2.0, " Welt", 0.9))
    transcript = replace(TRANSCRIPT, segments=(replace(TRANSCRIPT.segments[0], words=words),))
    [frame] = open_session().send(ItemCompleted("i", transcript, "whisper-1", logprobs=False, words=True))
    event = json.loads(frame)

    assert event.pop("words") == [
        {"word": "Grüße", "start": 1.0, "end": 1.5},
        {"word": "Welt", "start": 1.5, "end": 2.0},
    ]
    assert check_frame(json.dumps(event)) == event
    [without] = shown(open_session(), ItemCompleted("i", transcript, "whisper-1", logprobs=False))
    assert "words" not in without


def test_a_session_without_an_end() -> None:
    """Says none."""
    [created] = shown(open_session(), SessionCreated(CONFIG))

    assert "expires_at" not in created["session"]


def test_a_turn() -> None:
    """Speech, commit, text: in the order they came, with ids of their own."""
    events = shown(
        open_session(),
        SpeechStarted("item_1", 0.2),
        ItemDelta("item_1", "Grüße", TOKENS, logprobs=False),
        SpeechStopped("item_1", 1.5),
        BufferCommitted("item_1", 1.0),
        ItemCompleted("item_1", TRANSCRIPT, "whisper-1", logprobs=True),
    )

    assert [event["type"] for event in events] == [
        "input_audio_buffer.speech_started",
        "conversation.item.input_audio_transcription.delta",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.completed",
    ]
    assert [event["event_id"] for event in events] == [f"event_{n}" for n in range(1, 8)]
    assert "logprobs" not in events[1]
    assert len(events[-1]["logprobs"]) == 2


def test_items_are_chained() -> None:
    """Each names the one before, in all three events; the first has none. A failed one is a link, too."""
    protocol = open_session()
    failed = EngineFailedError("Could not be decoded.")
    events = [
        event
        for item_id in ("item_1", "item_2", "item_3")
        for event in shown(protocol, BufferCommitted(item_id, 1.0), ItemFailed(item_id, failed))
        if "previous_item_id" in event
    ]

    assert [event["previous_item_id"] for event in events] == [None] * 3 + ["item_1"] * 3 + ["item_2"] * 3
    ids = [event.get("item_id") or event["item"]["id"] for event in events]
    assert ids == ["item_1"] * 3 + ["item_2"] * 3 + ["item_3"] * 3


def test_items() -> None:
    """A user's message that holds audio, whose transcript is still to come."""
    _, added, done = shown(open_session(), BufferCommitted("item_1", 1.0))

    assert (
        added["item"]
        == done["item"]
        == {
            "id": "item_1",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
    )


def test_logprobs_are_a_key_only_when_asked() -> None:
    """With values for every token, or not at all: what was decoded without has none to give."""
    blind = tuple(replace(token, logprob=None) for token in TOKENS)
    protocol = open_session()
    [asked] = shown(protocol, ItemDelta("i", "Grüße", TOKENS, logprobs=True))
    others = shown(
        protocol,
        ItemDelta("i", "Grüße", TOKENS, logprobs=False),
        ItemDelta("i", "Grüße", blind, logprobs=True),
    )

    assert asked["logprobs"][1] == {"token": "ße", "logprob": -0.5, "bytes": [195, 159, 101]}
    assert all("logprobs" not in other for other in others)


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
    [event] = shown(open_session(), ItemCompleted("i", TRANSCRIPT, model, logprobs=False))

    assert event["usage"] == usage
    assert event["languages"] == [{"code": "de"}]
    assert event["transcript"] == "Grüße"


def test_failed_and_refused() -> None:
    """All of an error's keys, in both envelopes; only the client's own mistake carries its event's id."""
    error = InvalidRequestError("No.", param="p", code="c")
    body = {"type": "invalid_request_error", "code": "c", "message": "No.", "param": "p"}
    failed, refused = shown(open_session(), ItemFailed("i", error), Refused(error, "mine"))

    assert failed["type"] == "conversation.item.input_audio_transcription.failed"
    assert failed["error"] == body
    assert refused["type"] == "error"
    assert refused["error"] == body | {"event_id": "mine"}


def test_error_frame() -> None:
    """It needs no session, and ends no line."""
    frame = error_frame(InvalidRequestError("a\u2028b"), "event_9")

    assert check_frame(frame)["error"]["message"] == "a\u2028b"
    assert frame.splitlines() == [frame]
    assert json.loads(frame)["event_id"] == "event_9"


def test_receive() -> None:
    """A right frame is a command; a mistake is a refusal, with the client's id where there is one."""
    protocol = open_session()

    assert protocol.receive('{"type": "input_audio_buffer.commit", "event_id": "c"}') == Commit("c")
    assert protocol.receive(b'{"type": "input_audio_buffer.append", "audio": "AAA="}') == Append(b"\0\0")
    mine = protocol.receive('{"type": "response.create", "event_id": "mine"}')
    assert isinstance(mine, Refused)
    assert mine.event_id == "mine"
    for frame in ("garbage", b"\xff"):
        refused = protocol.receive(frame)
        assert isinstance(refused, Refused)
        assert refused.event_id is None


class Peer:
    """What a live session does with frames, at its plainest."""

    def __init__(self) -> None:
        self.protocol = open_session()
        self.config = CONFIG

    def obey(self, frame: str | bytes, item_id: str) -> list[dict[str, Any]]:
        """The answers to one frame."""
        return shown(self.protocol, *self._events(self.protocol.receive(frame), item_id))

    def _events(self, command: Command | Refused, item_id: str) -> list[LiveEvent]:
        wants = self.config.wants_logprobs
        match command:
            case Configure(session, event_id):
                try:
                    self.config = self.config.updated(session)
                except InvalidRequestError as error:
                    return [Refused(error, event_id)]
                return [SessionUpdated(self.config)]
            case Commit():
                model = self.config.transcription.model if self.config.transcription else "whisper-1"
                return [BufferCommitted(item_id, 1.0), ItemCompleted(item_id, TRANSCRIPT, model, wants)]
            case Clear():
                return [BufferCleared()]
            case Append():
                return [ItemDelta(item_id, "Grüße", TOKENS, wants)]
            case Refused():
                return [command]


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


@settings(max_examples=300)
@given(st.lists(frames(), max_size=8))
def test_any_frames(sent: list[str | bytes]) -> None:
    """The invariant; and each mistake is answered at once, so that it can be told which one it was."""
    peer = Peer()
    for n, frame in enumerate(sent):
        assert len(peer.obey(frame, f"item_{n}")) in {1, 4}
