"""WebSocket `/v1/realtime`: OpenAI's transcription sessions. Tasks receive, hear, tell and write.

The protocol (`gateway.protocol.realtime`) turns frames into commands and what happened into frames, the live
flow (`gateway.live`) turns commands into what happened; this endpoint carries both ways.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

import anyio
import anyio.to_thread
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from gateway.aio import open_task_group
from gateway.errors import (
    ClientGoneError,
    GatewayError,
    InvalidRequestError,
    OverloadedError,
    ShuttingDownError,
)
from gateway.flow.inbox import Clear, Commit, Configure
from gateway.flow.load import LiveLoad
from gateway.flow.options import LiveOptions
from gateway.flow.session import LiveSession
from gateway.protocol.realtime.config import SessionConfig
from gateway.protocol.realtime.session import RealtimeProtocol
from gateway.server.admission import Admission
from gateway.server.live_options import live_options
from gateway.server.service import Service
from gateway.transcript import commands, events
from gateway.transcript.commands import Command
from gateway.transcript.events import LiveEvent

SESSION_CONFIG = "gateway.session_config"
"""Where in the scope an ephemeral key's settings stand."""

LARGE_FRAME = 64 * 1024
"""Characters beyond which a frame is parsed in a thread: its base64 would take over a millisecond."""

FRAMES_AHEAD = 64
"""Frames not sent yet, before the live flow waits with the next."""

MISTAKES_AHEAD = 1_000
"""Frames not sent yet to a client that goes on making mistakes, each of which is answered."""


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """What one live session may take.

    Attributes:
        waiting_bytes: Of audio that came faster than it is worked on.
        session_seconds: Longest session.
        partial_beam: Beam of the hypotheses of utterances that go on; None: there are none.
    """

    waiting_bytes: int
    session_seconds: float
    partial_beam: int | None


class Realtime:
    """The endpoint as an ASGI application.

    Args:
        leaving: Set when the server begins to end: sessions tell what they have heard, and close.
    """

    def __init__(
        self,
        service: Service,
        load: LiveLoad,
        limits: LiveLimits,
        admission: Admission,
        leaving: anyio.Event,
    ) -> None:
        self._service = service
        self._load = load
        self._limits = limits
        self._admission = admission
        self._leaving = leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one session.

        Raises:
            GatewayError: What ends it; nothing is sent about it here.
            ClientGoneError: The client left.
        """
        websocket = WebSocket(scope, receive, send)
        config = self._config(websocket)
        with self._admission.place(), self._service.resources.metrics.live_sessions.track_inprogress():
            self._load.admit()
            await websocket.accept()
            await _Session(self._service, self._load, self._limits, config, websocket).run(self._leaving)

    def _config(self, websocket: WebSocket) -> SessionConfig:
        """An ephemeral key's settings, or those of the model that the URL names, or the first one served.

        Raises:
            InvalidRequestError: A conversation is asked for.
            ModelNotFoundError: The model is not served.
        """
        query = websocket.query_params
        if query.get("intent", "transcription") != "transcription":
            raise InvalidRequestError(
                "This server has transcription sessions only: intent=transcription.", param="intent"
            )
        given: SessionConfig | None = websocket.scope.get(SESSION_CONFIG)
        model = query.get("model")
        if model:
            self._service.catalog.find(model)
        if given is not None:
            return given
        return SessionConfig.default(model or self._service.catalog.names()[0])


class _Session:
    """One connection."""

    def __init__(
        self,
        service: Service,
        load: LiveLoad,
        limits: LiveLimits,
        config: SessionConfig,
        websocket: WebSocket,
    ) -> None:
        self._service = service
        self._limits = limits
        self._websocket = websocket
        self._config = config
        self._protocol = RealtimeProtocol(
            config,
            session_id=_new_id("sess"),
            new_event_id=lambda: _new_id("event"),
            expires_at=int(time.time() + limits.session_seconds),
        )
        # Set and replaced whenever frames are queued or sent.
        self._changed = anyio.Event()
        self._sending = anyio.Lock()
        self._live = LiveSession(
            service.resources,
            load,
            resolve=self._resolve,
            new_item=lambda: _new_id("item"),
            max_waiting=limits.waiting_bytes,
        )

    async def run(self, leaving: anyio.Event) -> None:
        """Works until the client leaves, or the session has had its time, or the server ends.

        Raises:
            ClientGoneError: The client left.
            ShuttingDownError: The server ends; what was heard is told.
        """
        async with open_task_group() as tasks:
            tasks.start_soon(self._live.run)
            tasks.start_soon(self._tell)
            tasks.start_soon(self._write)
            tasks.start_soon(self._receive)
            with anyio.move_on_after(self._limits.session_seconds):
                await leaving.wait()
            await self._finish()
            if leaving.is_set():
                raise ShuttingDownError
            self._protocol.refused(self._expired(), None)
            await self._send_queued()
            tasks.cancel_scope.cancel()
        await self._websocket.close(1000)

    async def _finish(self) -> None:
        """Tells what was heard, as far as there is time."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cancel_when_stopping, tasks.cancel_scope)
            await self._live.finish()
            await self._send_queued()
            tasks.cancel_scope.cancel()

    async def _cancel_when_stopping(self, scope: anyio.CancelScope) -> None:
        await self._service.stopping.wait()
        scope.cancel()

    def _expired(self) -> GatewayError:
        minutes = f"{self._limits.session_seconds / 60:g} minutes"
        return InvalidRequestError(
            f"Your session hit the maximum duration of {minutes}.", code="session_expired"
        )

    async def _receive(self) -> None:
        """Frames to the live flow.

        Raises:
            ClientGoneError: The client left.
            OverloadedError: It sends more than can be worked on, or reads nothing of what it causes.
        """
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise ClientGoneError
            frame = message.get("text") or message.get("bytes") or ""
            if len(frame) < LARGE_FRAME:
                command = self._protocol.receive(frame)
            else:
                command = await anyio.to_thread.run_sync(self._protocol.receive, frame)
            if command is None:
                self._note_change()
                if self._protocol.unsent > MISTAKES_AHEAD:
                    raise OverloadedError("The events are not being read.")
            else:
                self._pass_on(command)

    def _pass_on(self, command: Command) -> None:
        match command:
            case commands.Append(audio):
                self._live.append(audio)
            case commands.Commit(event_id):
                self._live.put(Commit(event_id))
            case commands.Clear():
                self._live.put(Clear())
            case commands.Configure(session, event_id):
                self._live.put(Configure(session, event_id))

    async def _resolve(self, session: object) -> tuple[LiveOptions, SessionConfig]:
        """The options for a `session.update`, or those to begin with, and the settings they come from."""
        config = self._config
        if isinstance(session, Mapping):
            config = config.updated(session)
        options = await live_options(config, self._service.catalog, partial_beam=self._limits.partial_beam)
        self._config = config
        return options, config

    async def _tell(self) -> None:
        async for event in self._live:
            _tell(self._protocol, event)
            self._note_change()
            while self._protocol.unsent > FRAMES_AHEAD:
                await self._changed.wait()

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def _write(self) -> None:
        """Sends what is queued, one frame after the other."""
        while True:
            while not self._protocol.unsent:
                await self._changed.wait()
            await self._send_queued()
            self._note_change()

    async def _send_queued(self) -> None:
        # Taken within the lock, or frames of two callers would overtake each other.
        async with self._sending:
            for frame in self._protocol.events_to_send():
                try:
                    with anyio.fail_after(self._service.limits.send_pause):
                        await self._websocket.send_text(frame)
                except TimeoutError:
                    raise OverloadedError("The events are not being read.") from None


def _tell(protocol: RealtimeProtocol, event: LiveEvent) -> None:  # noqa: C901 - one line for each kind
    match event:
        case events.SpeechStarted(item, seconds):
            protocol.speech_started(item, _ms(seconds))
        case events.SpeechStopped(item, seconds):
            protocol.speech_stopped(item, _ms(seconds))
        case events.BufferCommitted(item):
            protocol.committed(item)
        case events.BufferCleared():
            protocol.cleared()
        case events.SessionUpdated(SessionConfig() as config):
            protocol.configured(config)
        case events.TimeoutTriggered(item, start, end):
            protocol.timeout_triggered(item, _ms(start), _ms(end))
        case events.ItemDelta(item, text, tokens, logprobs):
            protocol.delta(item, text, tokens, logprobs=logprobs)
        case events.ItemCompleted(item, transcript, model, logprobs):
            protocol.completed(item, transcript, model=model, logprobs=logprobs)
        case events.ItemFailed(item, error):
            protocol.failed(item, error)
        case events.Refused(error, event_id):
            protocol.refused(error, event_id)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(12)}"
