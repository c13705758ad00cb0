"""A transcription session's protocol, without its transport: frames to commands, events to frames."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Literal, NotRequired, cast

from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from gateway.errors import GatewayError
from gateway.protocol.events import (
    about,
    diarized_segment,
    encode,
    error_body,
    language_codes,
    logprobs,
    usage_for,
    word_times,
)
from gateway.protocol.realtime.commands import parse_command
from gateway.protocol.realtime.config import INCLUDE, Include, RealtimeAudio, SessionConfig, written
from gateway.protocol.realtime.fields import LEGACY_FORMATS, LegacyFormat
from gateway.protocol.realtime.parts import TURNS, NoiseReduction, Transcription, TurnDetection, Wire
from gateway.transcript import Segment, Token
from gateway.transcript.commands import Command
from gateway.transcript.events import (
    BufferCleared,
    BufferCommitted,
    ItemCompleted,
    ItemDelta,
    ItemFailed,
    ItemSegment,
    LiveEvent,
    Refused,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TimeoutTriggered,
)

Id = Annotated[str, about("Names these settings.", examples=["sess_0123456789abcdef01234567"])]


_TRANSCRIPTION = "conversation.item.input_audio_transcription"


Noise = Annotated[Wire | None, written(NoiseReduction | None), about("null: none.")]
Turns = Annotated[Wire | None, written(TurnDetection | None), about(TURNS)]
FlatTranscription = Annotated[Wire | None, written(Transcription | None)]


class RealtimeSession(TypedDict):
    """A session as it will begin."""

    id: Id
    object: Literal["realtime.transcription_session"]
    type: Literal["transcription"]
    audio: Annotated[RealtimeAudio, about("What the client sends, and how it is heard.")]
    include: Annotated[list[Include], about(INCLUDE)]


class FlatSession(TypedDict):
    """The same in the beta's flat fields."""

    id: Id
    object: Literal["realtime.transcription_session"]
    input_audio_format: Annotated[LegacyFormat, about("Of the audio.")]
    input_audio_transcription: Annotated[FlatTranscription, about("null: none is made.")]
    input_audio_noise_reduction: Noise
    turn_detection: Turns
    include: NotRequired[Annotated[list[Include], about(INCLUDE)]]


class RealtimeProtocol:
    """Frames in, commands out; events in, frames out, in OpenAI's words. Nothing that a client sends raises.

    Args:
        new_event_id: Makes the id of each frame.
        expires_at: When the session ends, in seconds since 1970.
        beta: The client speaks the beta's protocol: the session and its items are told in its words.
        start_ms: Of the session's audio before what is heard here, where it is taken up again.
        last_item_id: Of its items before.
        quiet_item_id: An item whose deltas were told before, perhaps: it is told when it is complete.
    """

    def __init__(
        self,
        *,
        session_id: str,
        new_event_id: Callable[[], str],
        expires_at: int | None = None,
        beta: bool = False,
        start_ms: int = 0,
        last_item_id: str | None = None,
        quiet_item_id: str | None = None,
    ) -> None:
        self._beta = beta
        self._start = start_ms / 1000
        self._quiet_item_id = quiet_item_id
        self._session_id = session_id
        self._new_event_id = new_event_id
        self._expires_at = expires_at
        self._last_item_id = last_item_id

    def receive(self, frame: str | bytes) -> Command | Refused:
        """What the client wants; `Refused` for a mistake. It touches no state, so it may run in a thread."""
        return parse_command(frame)

    def send(self, event: LiveEvent, *, resume: Wire | None = None) -> list[str]:
        """The text frames that tell the client of the event, in their order.

        Args:
            resume: How the session is taken up again if it drops, an extension of `session.created`.
        """
        more = {"resume": resume} if resume else {}
        return [encode({"event_id": self._new_event_id(), **shown, **more}) for shown in self._render(event)]

    def created(self, settings: object, event_id: str, resume: Wire | None) -> str:
        """`session.created` on a further connection of the session, outside of the order of its events."""
        shown = self._session("created", settings, flat=self._beta)
        return encode({"event_id": event_id, **shown, "resume": resume})

    def _render(self, event: LiveEvent) -> list[Wire]:  # noqa: C901, PLR0912 - one case for each kind
        match event:
            case SessionCreated(settings):
                return [self._session("created", settings, flat=self._beta)]
            case SessionUpdated(settings, flat):
                return [self._session("updated", settings, flat=flat)]
            case SpeechStarted(item_id, seconds):
                return [_buffer("speech_started", item_id=item_id, audio_start_ms=self._ms(seconds))]
            case SpeechStopped(item_id, seconds):
                return [_buffer("speech_stopped", item_id=item_id, audio_end_ms=self._ms(seconds))]
            case TimeoutTriggered(item_id, start, end):
                times = {"audio_start_ms": self._ms(start), "audio_end_ms": self._ms(end)}
                return [_buffer("timeout_triggered", item_id=item_id, **times)]
            case BufferCommitted(item_id):
                return self._committed(item_id)
            case BufferCleared():
                return [_buffer("cleared")]
            case ItemDelta(item_id) if item_id == self._quiet_item_id:
                return []
            case ItemDelta(item_id, text, tokens, wants_logprobs):
                shown = _of_item("delta", item_id, delta=text)
                return [shown | _logprobs(tokens, wanted=wants_logprobs)]
            case ItemSegment(item_id, index, segment):
                shown = {**diarized_segment(index, _later(segment, self._start))}
                del shown["type"]
                return [_of_item("segment", item_id, **shown)]
            case ItemCompleted():
                return [_completed(event, self._start)]
            case ItemFailed(item_id, error, interrupted):
                return [_of_item("failed", item_id, **error_body(error), **_interrupted(told=interrupted))]
            case Refused(error, event_id):
                return [refusal(error, event_id)]

    def _ms(self, seconds: float) -> int:
        return round((self._start + seconds) * 1000)

    def _session(self, what: str, settings: object, *, flat: bool) -> Wire:
        config = cast("SessionConfig", settings)  # what the session was given, and gives back
        session: Wire = (
            {**flat_session_object(config, self._session_id)}
            if flat
            else {**session_object(config, self._session_id)}
        )
        if self._expires_at is not None:
            identity = {"id": session["id"], "object": session["object"]}
            session = {**identity, "expires_at": self._expires_at, **session}
        return {"type": f"transcription_session.{what}" if flat else f"session.{what}", "session": session}

    def _committed(self, item_id: str) -> list[Wire]:
        previous, self._last_item_id = self._last_item_id, item_id
        item = {
            "id": item_id,
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        committed = _buffer("committed", previous_item_id=previous, item_id=item_id)
        if self._beta:
            return [
                committed,
                {"type": "conversation.item.created", "previous_item_id": previous, "item": item},
            ]
        return [
            committed,
            {"type": "conversation.item.added", "previous_item_id": previous, "item": item},
            {"type": "conversation.item.done", "previous_item_id": previous, "item": item},
        ]


def session_object(config: SessionConfig, session_id: str) -> RealtimeSession:
    """The settings, and what a session that has them is called."""
    wire = config.to_wire()
    return {
        "id": session_id,
        "object": "realtime.transcription_session",
        "type": "transcription",
        "audio": wire["audio"],
        "include": wire["include"],
    }


def flat_session_object(config: SessionConfig, session_id: str) -> FlatSession:
    """The same in the beta's flat fields."""
    given = config.to_wire()["audio"]["input"]
    flat: FlatSession = {
        "id": session_id,
        "object": "realtime.transcription_session",
        "input_audio_format": LEGACY_FORMATS[config.format.type],
        "input_audio_transcription": given["transcription"],
        "input_audio_noise_reduction": given["noise_reduction"],
        "turn_detection": given["turn_detection"],
    }
    if config.include:
        flat["include"] = list(config.include)
    return flat


def error_frame(error: GatewayError, event_id: str) -> str:
    """An `error` event as a text frame, before any session exists, too."""
    return encode({"event_id": event_id, **refusal(error, None)})


def refusal(error: GatewayError, client_event_id: str | None) -> Wire:
    """`error`, for a client's mistake; ``client_event_id`` is that of the event at fault."""
    return {"type": "error", "error": {**error_body(error)["error"], "event_id": client_event_id}}


def _buffer(kind: str, **fields: Any) -> Wire:
    return {"type": f"input_audio_buffer.{kind}", **fields}


def _of_item(kind: str, item_id: str, **fields: Any) -> Wire:
    return {"type": f"{_TRANSCRIPTION}.{kind}", "item_id": item_id, "content_index": 0, **fields}


def _completed(event: ItemCompleted, start: float) -> Wire:
    # A prefixed name's usage counts both ways over HTTP; the events of a session know one way at a time.
    usage = usage_for(event.model, event.transcript, both_ways=False)
    languages = language_codes(event.transcript)
    transcript = event.transcript.text
    shown = _of_item("completed", event.item_id, transcript=transcript, usage=usage, languages=languages)
    if event.words:
        segments = (_later(segment, start) for segment in event.transcript.segments)
        shown["words"] = word_times(word for segment in segments for word in segment.words)
    shown |= _interrupted(told=event.interrupted)
    return shown | _logprobs(event.transcript.tokens, wanted=event.logprobs)


def _interrupted(*, told: bool) -> Wire:
    """An extension: who takes the session up again is told this item once more, whole."""
    return {"interrupted": True} if told else {}


def _logprobs(tokens: tuple[Token, ...], *, wanted: bool) -> Wire:
    # An utterance that was under way when `include` changed was decoded without.
    shown = logprobs(tokens) if wanted else None
    return {} if shown is None else {"logprobs": shown}


def _later(segment: Segment, seconds: float) -> Segment:
    """The segment so many seconds later."""
    if not seconds:
        return segment
    words = tuple(replace(word, start=word.start + seconds, end=word.end + seconds) for word in segment.words)
    return replace(segment, start=segment.start + seconds, end=segment.end + seconds, words=words)
