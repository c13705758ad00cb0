"""A transcription session's protocol, without its transport: frames to commands, events to frames."""

from collections.abc import Callable

from gateway.protocol.realtime import events
from gateway.protocol.realtime.commands import ClientEventError, parse_command
from gateway.protocol.realtime.config import SessionConfig
from gateway.transcript.commands import Command
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


class RealtimeProtocol:
    """Frames in, commands out; events in, frames out. Nothing that a client sends makes it raise."""

    def __init__(
        self, *, session_id: str, new_event_id: Callable[[], str], expires_at: int | None = None
    ) -> None:
        self._session_id = session_id
        self._new_event_id = new_event_id
        self._expires_at = expires_at
        self._last_item_id: str | None = None

    def receive(self, frame: str | bytes) -> Command | Refused:
        """What the client wants; `Refused` for a mistake. It touches no state, so it may run in a thread."""
        try:
            return parse_command(frame)
        except ClientEventError as error:
            return Refused(error, error.client_event_id)

    def send(self, event: LiveEvent) -> list[str]:
        """The text frames that tell the client of the event, in their order."""
        return [events.frame(each, self._new_event_id()) for each in self._render(event)]

    def _render(self, event: LiveEvent) -> list[events.Event]:  # noqa: C901 - one line for each kind
        match event:
            case SessionCreated(SessionConfig() as config):
                return [events.session_created(self._session(config))]
            case SessionUpdated(SessionConfig() as config):
                return [events.session_updated(self._session(config))]
            case SpeechStarted(i, s):
                return [events.speech_started(i, round(s * 1000))]
            case SpeechStopped(i, s):
                return [events.speech_stopped(i, round(s * 1000))]
            case TimeoutTriggered(i, a, b):
                return [events.timeout_triggered(i, round(a * 1000), round(b * 1000))]
            case BufferCommitted(i):
                p, self._last_item_id = self._last_item_id, i
                return [events.committed(i, p), events.item_added(i, p), events.item_done(i, p)]
            case BufferCleared():
                return [events.cleared()]
            case ItemDelta(i, text, tokens, lp):
                return [events.delta(i, text, tokens, with_logprobs=lp)]
            case ItemCompleted(i, transcript, model, lp):
                return [events.completed(i, transcript, model=model, with_logprobs=lp)]
            case ItemFailed(i, error):
                return [events.failed(i, error)]
            case Refused(error, i2):
                return [events.refused(error, i2)]
        raise AssertionError

    def _session(self, config: SessionConfig) -> dict[str, object]:
        return events.session_object(config, session_id=self._session_id, expires_at=self._expires_at)
