"""A transcription session's protocol, without its transport: frames in, commands and frames out."""

from collections import deque
from collections.abc import Callable

from gateway.errors import GatewayError
from gateway.protocol.realtime import events
from gateway.protocol.realtime.commands import ClientEventError, parse_command
from gateway.protocol.realtime.config import SessionConfig
from gateway.transcript import Token, Transcript
from gateway.transcript.commands import Command


class RealtimeProtocol:
    """Says what happened in OpenAI's words and in their order; nothing that a client sends makes it raise.

    Attributes:
        config: The settings in force.
    """

    def __init__(
        self,
        config: SessionConfig,
        *,
        session_id: str,
        new_event_id: Callable[[], str],
        expires_at: int | None = None,
    ) -> None:
        self.config = config
        self._session_id = session_id
        self._new_event_id = new_event_id
        self._expires_at = expires_at
        self._last_item_id: str | None = None
        self._frames: deque[str] = deque()
        self._queue(events.session_created(self._session()))

    @property
    def unsent(self) -> int:
        """Frames that wait for `events_to_send`."""
        return len(self._frames)

    def receive(self, frame: str | bytes) -> Command | None:
        """What the client wants; None for a mistake, which is answered with an `error` event."""
        try:
            return parse_command(frame)
        except ClientEventError as error:
            self.refused(error, error.client_event_id)
            return None

    def events_to_send(self) -> list[str]:
        """The text frames since the last call, in order."""
        # One by one: a large frame is received in a thread, and its mistake may be queued meanwhile.
        return [self._frames.popleft() for _ in range(len(self._frames))]

    def configured(self, config: SessionConfig) -> None:
        """``config`` is in force from here on."""
        self.config = config
        self._queue(events.session_updated(self._session()))

    def speech_started(self, item_id: str, audio_start_ms: int) -> None:
        """Somebody speaks; milliseconds from the session's first sample, the prefix padding included."""
        self._queue(events.speech_started(item_id, audio_start_ms))

    def speech_stopped(self, item_id: str, audio_end_ms: int) -> None:
        """They stopped; milliseconds from the session's first sample, the silence included."""
        self._queue(events.speech_stopped(item_id, audio_end_ms))

    def timeout_triggered(self, item_id: str, audio_start_ms: int, audio_end_ms: int) -> None:
        """Nobody spoke between these milliseconds, which become an item."""
        self._queue(events.timeout_triggered(item_id, audio_start_ms, audio_end_ms))

    def committed(self, item_id: str) -> None:
        """The buffer became an item, behind the one of the last call."""
        previous, self._last_item_id = self._last_item_id, item_id
        self._queue(events.committed(item_id, previous))
        self._queue(events.item_added(item_id, previous))
        self._queue(events.item_done(item_id, previous))

    def cleared(self) -> None:
        """The buffer was emptied at the client's wish."""
        self._queue(events.cleared())

    def delta(self, item_id: str, text: str, tokens: tuple[Token, ...], *, logprobs: bool) -> None:
        """More of an item's text."""
        self._queue(events.delta(item_id, text, tokens, with_logprobs=logprobs))

    def completed(self, item_id: str, transcript: Transcript, *, model: str, logprobs: bool) -> None:
        """An item's whole text; ``model`` is the name the client asked for when the item was decoded."""
        self._queue(events.completed(item_id, transcript, model=model, with_logprobs=logprobs))

    def failed(self, item_id: str, error: GatewayError) -> None:
        """An item could not be transcribed."""
        self._queue(events.failed(item_id, error))

    def refused(self, error: GatewayError, client_event_id: str | None) -> None:
        """A client's mistake. Many clients end the session at an `error` event: nothing else is one."""
        self._queue(events.refused(error, client_event_id))

    def _session(self) -> dict[str, object]:
        return events.session_object(self.config, session_id=self._session_id, expires_at=self._expires_at)

    def _queue(self, event: events.Event) -> None:
        self._frames.append(events.frame(event, self._new_event_id()))
