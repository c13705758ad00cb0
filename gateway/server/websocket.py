"""What every WebSocket has: a request id, a subprotocol, errors as a frame, and a place among the open ones.

A refusal that is known before the handshake is no HTTP status: the handshake is accepted, and one text frame
with the error's envelope and a close code follow. Browsers show a page nothing of a handshake that failed.
"""

import logging
import secrets
from contextlib import suppress

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.errors import (
    ClientGoneError,
    GatewayError,
    OverloadedError,
    ShuttingDownError,
)
from gateway.metrics import Metrics
from gateway.protocol.events import encode, error_body
from gateway.protocol.realtime.session import error_frame
from gateway.protocol.websocket import COME_AGAIN, close_code, close_reason
from gateway.server.admission import Admission
from gateway.server.exchanges import Exchanges
from gateway.tracing import Tracer, current, within

logger = logging.getLogger(__name__)

GOODBYE_SECONDS = 1.0
"""How long the error's frame may take to get out; the client may be one that reads nothing."""

SUBPROTOCOL = "realtime"
"""Selected when offered: browsers fail a handshake that selects none of theirs."""

ABNORMAL = 1006
"""A connection that ended without a close frame of ours."""


async def receive_message(websocket: WebSocket) -> Message:
    """The client's next message.

    Raises:
        ClientGoneError: The client left.
    """
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise ClientGoneError
    return message


async def send_frame(websocket: WebSocket, frame: str, *, send_timeout: float) -> None:
    """Sends a text frame.

    Raises:
        OverloadedError: The client has not read for ``send_timeout`` seconds.
    """
    try:
        with anyio.fail_after(send_timeout):
            await websocket.send_text(frame)
    except TimeoutError:
        raise OverloadedError("The events are not being read.", reason="not_read") from None


def envelope_frame(error: GatewayError) -> str:
    """An error as its envelope."""
    return encode(error_body(error))


def event_frame(error: GatewayError) -> str | None:
    """An error as an `error` event of a live session.

    None where the client shall come again: clients take any `error` for the last word, and a bare close for a
    reason to connect anew. Its reason says the same.
    """
    if close_code(error) in COME_AGAIN:
        return None
    return error_frame(error, f"event_{secrets.token_hex(12)}")


class WebSocketMiddleware:
    """Translates what an endpoint raises into a frame, as its route has them, and a close code; counts."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        sessions: Admission,
        exchanges: Exchanges,
        metrics: Metrics,
        tracer: Tracer,
    ) -> None:
        self._app = app
        self._tracer = tracer
        self._sessions = sessions
        self._exchanges = exchanges
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection; never raises for a WebSocket."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        session = _Session(scope, send)
        begun = self._tracer.begin("session", Headers(scope=scope), gateway__request_id=session.id)
        with self._sessions.place(), self._exchanges.place(session), within(begun) as span:
            try:
                with session.scope:
                    await self._app(scope, receive, session.send)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told or logged
                await self._end(session, error)
            finally:
                endpoint = getattr(scope.get("route"), "path", "unknown")
                self._metrics.requests.labels(f"ws {endpoint}", str(session.code)).inc()
                span.note(http__route=endpoint, websocket__close_code=session.code)
                span.end()

    async def _end(self, session: "_Session", error: Exception) -> None:
        match error:
            case ClientGoneError() | WebSocketDisconnect():
                pass
            case GatewayError():
                self._metrics.refuse(error)
                current().fail(error.reason)
                if error.status >= 500 and not isinstance(error, ShuttingDownError):
                    extra = {"request_id": session.id}
                    trace = error if error.is_traced else None
                    logger.warning("session failed: %s", error, extra=extra, exc_info=trace)
                await session.refuse(error)
            case _:
                logger.error("internal error", extra={"request_id": session.id}, exc_info=error)
                internal = GatewayError(f"Internal error; request id {session.id}.")
                self._metrics.refuse(internal)
                current().fail(internal.reason)
                await session.refuse(internal)


class _Session:
    """One connection: what was sent so far."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = send
        self._subprotocol = SUBPROTOCOL if SUBPROTOCOL in scope["subprotocols"] else None
        self._scope = scope
        self._accepted = False
        self.scope = anyio.CancelScope()
        self.id = f"req_{secrets.token_hex(16)}"
        self.code = ABNORMAL

    @property
    def is_answered(self) -> bool:
        """Always: sessions look at the server's end themselves, and have things to say then."""
        return True

    async def send(self, message: Message) -> None:
        """Sends on.

        Raises:
            ClientGoneError: There is nobody to send to.
        """
        if message["type"] == "websocket.accept":
            message.setdefault("headers", [])
            MutableHeaders(scope=message)["x-request-id"] = self.id
            message["subprotocol"] = self._subprotocol
            self._accepted = True
        try:
            await self._send(message)
        except OSError:
            raise ClientGoneError from None
        if message["type"] == "websocket.close":
            self.code = message.get("code", 1000) if self._accepted else 403

    async def refuse(self, error: GatewayError) -> None:
        code = close_code(error)
        frame = getattr(self._scope.get("route"), "error_frame", envelope_frame)
        with suppress(ClientGoneError), anyio.move_on_after(GOODBYE_SECONDS):
            if not self._accepted:
                await self.send({"type": "websocket.accept"})
            if (text := frame(error)) is not None:
                await self.send({"type": "websocket.send", "text": text})
            await self.send({"type": "websocket.close", "code": code, "reason": close_reason(error)})
