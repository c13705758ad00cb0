"""WebSocket `/v1/realtime`: OpenAI's transcription sessions.

The protocol (`gateway.protocol.realtime`) turns frames into commands and events into frames, the session
(`gateway.flow.session`) turns commands into events; this endpoint carries both ways.
"""

import secrets
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from gateway.aio import open_task_group
from gateway.errors import GatewayError, InvalidRequestError, ShuttingDownError
from gateway.flow.inbox import Waiting
from gateway.flow.options import LiveOptions
from gateway.flow.session import LiveSession
from gateway.protocol.realtime.config import SessionConfig
from gateway.protocol.realtime.session import RealtimeProtocol
from gateway.server.admission import Admission, KeyAdmission
from gateway.server.live_options import live_options
from gateway.server.relay import Publication, Relay
from gateway.server.service import Service
from gateway.server.websocket import receive_message, send_frame
from gateway.transcript.events import Refused

SESSION_CONFIG = "gateway.session_config"
"""Where in the scope an ephemeral key's settings stand."""

EPHEMERAL_KEY = "gateway.ephemeral_key"
"""Where the key itself does."""

OF_CONVERSATIONS = ("gpt-realtime", "gpt-4o-realtime", "gpt-4o-mini-realtime")
"""How OpenAI's models that answer are called: the model that transcribes is named in the session then."""

LARGE_FRAME = 64 * 1024
"""Characters beyond which a frame is parsed in a thread: its base64 would take over a millisecond."""


class Realtime:
    """The endpoint as an ASGI application.

    Args:
        admission: How many sessions may be open.
        of_keys: The same under one ephemeral key.
        relay: Who has the link of a session that asks for one reads its captions there.
        leaving: Set when the server begins to end: sessions emit what was said until then, and close.
    """

    def __init__(
        self,
        service: Service,
        admission: Admission,
        of_keys: KeyAdmission,
        relay: Relay,
        leaving: anyio.Event,
    ) -> None:
        self._service = service
        self._relay = relay
        self._of_keys = of_keys
        limits, metrics = service.limits, service.resources.metrics
        self._waiting = Waiting(limits.max_waiting_bytes, limits.max_waiting_total, metrics)
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
        open_sessions = self._service.resources.metrics.live_sessions
        with (
            self._of_keys.place(scope.get(EPHEMERAL_KEY)),
            self._admission.place(),
            self._service.load.session(),
            open_sessions.track_inprogress(),
            self._relay.speaking(websocket.query_params.get("publish")) as publication,
        ):
            await websocket.accept()
            await _Connection(self._service, config, websocket, self._waiting, publication).run(self._leaving)

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
        model = query.get("model") or query.get("deployment")  # Azure's word for it
        if model and model not in self._service.catalog.names and model.startswith(OF_CONVERSATIONS):
            model = None
        if model:
            self._service.catalog.find(model)
        if given is not None:
            return given
        return SessionConfig.default(model or self._service.catalog.names[0])


def _speaks_beta(websocket: WebSocket) -> bool:
    offered = websocket.scope["subprotocols"]
    return "openai-beta.realtime-v1" in offered or websocket.headers.get("openai-beta") == "realtime=v1"


class _Connection:
    """One client's session. Tasks receive, work and send."""

    def __init__(
        self,
        service: Service,
        config: SessionConfig,
        websocket: WebSocket,
        waiting: Waiting,
        publication: Publication | None,
    ) -> None:
        self._service = service
        self._publication = publication
        self._limits = service.limits
        self._websocket = websocket
        self._config = config
        self._protocol = RealtimeProtocol(
            session_id=_new_id("sess"),
            new_event_id=lambda: _new_id("event"),
            expires_at=int(time.time() + self._limits.max_session_seconds),
            beta=_speaks_beta(websocket),
        )
        self._session = LiveSession(
            service.resources,
            service.load,
            settings=config,
            resolve=self._resolve,
            new_item_id=lambda: _new_id("item"),
            waiting=waiting,
        )

    async def run(self, leaving: anyio.Event) -> None:
        """Works until the client leaves, or the session has had its time, or the server ends.

        Raises:
            ClientGoneError: The client left.
            ShuttingDownError: The server ends; what was said is emitted.
        """
        async with open_task_group() as tasks:
            tasks.start_soon(self._session.run)
            tasks.start_soon(self._send)
            tasks.start_soon(self._receive)
            with anyio.move_on_after(self._limits.max_session_seconds):
                await leaving.wait()
            await self._finish()
            if leaving.is_set():
                raise ShuttingDownError
            self._session.refuse(Refused(self._expired(), None))
            await self._session.finish()
            tasks.cancel_scope.cancel()
        await self._websocket.close(1000)

    async def _finish(self) -> None:
        """Sends what was said, as far as there is time."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cancel_when_stopping, tasks.cancel_scope)
            await self._session.finish()
            tasks.cancel_scope.cancel()

    async def _cancel_when_stopping(self, scope: anyio.CancelScope) -> None:
        await self._service.stopping.wait()
        scope.cancel()

    def _expired(self) -> GatewayError:
        minutes = f"{self._limits.max_session_seconds / 60:g} minutes"
        return InvalidRequestError(
            f"Your session hit the maximum duration of {minutes}.", code="session_expired"
        )

    async def _receive(self) -> None:
        """Frames to the session.

        Raises:
            ClientGoneError: The client left.
            OverloadedError: It sends more than can be worked on, or reads nothing of what it causes.
        """
        while True:
            message = await receive_message(self._websocket)
            frame = message.get("text") or message.get("bytes") or ""
            if len(frame) < LARGE_FRAME:
                received = self._protocol.receive(frame)
            else:
                received = await anyio.to_thread.run_sync(self._protocol.receive, frame)
            if isinstance(received, Refused):
                self._session.refuse(received)
            else:
                self._session.put(received)

    async def _send(self) -> None:
        """The session's events to frames, one after the other.

        Raises:
            OverloadedError: The client does not read them.
        """
        async for event in self._session:
            if self._publication is not None:
                self._publication.take(event)
            for frame in self._protocol.send(event):
                await send_frame(self._websocket, frame, send_timeout=self._limits.send_timeout)

    async def _resolve(self, session: Mapping[str, Any] | None) -> tuple[LiveOptions, SessionConfig]:
        """The options for a `session.update`, or those to begin with, and the settings they come from."""
        config = self._config if session is None else self._config.updated(session)
        options = await live_options(
            config,
            self._service.catalog,
            partials=self._service.partials,
            speakers=partial(self._service.speakers.get, param="model"),
        )
        self._config = config
        return options, config


def _new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(12)}"
