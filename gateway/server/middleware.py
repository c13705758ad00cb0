"""What every answer has: a request id, its processing time, and, where it failed, OpenAI's error envelope."""

import logging
import secrets
import time
from collections.abc import MutableMapping
from typing import Any

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import (
    ClientGoneError,
    GatewayError,
    MethodNotAllowedError,
    ShuttingDownError,
    UploadTimeoutError,
)
from gateway.metrics import Metrics
from gateway.protocol.events import encode, error_body
from gateway.server.body import Body
from gateway.server.clients import address_of, client_of
from gateway.server.exchanges import Exchanges
from gateway.tracing import NOTHING, Span, Tracer, within

logger = logging.getLogger(__name__)
access = logging.getLogger("gateway.access")

PROBES = frozenset({"/health", "/ready", "/metrics"})
"""Asked every few seconds by machines: not worth a line of the log."""

LENGTHS = frozenset({"content-length", "transfer-encoding"})
"""A request with both may end elsewhere for a proxy before us: nothing behind it is read (RFC 9112, 6.3)."""

DISCARD_SECONDS = 10.0
DISCARD_BYTES = 256 * 1024 * 1024
"""What is read of a body that was refused early, so that its sender gets to see the refusal."""

FAREWELL_SECONDS = 0.5
"""The same at the server's end, which waits for nobody: the refusal is sent first."""


def error_response(error: GatewayError) -> Response:
    """The error as a JSON answer."""
    headers = {} if error.retry_after is None else {"retry-after": str(max(1, error.retry_after))}
    if isinstance(error, MethodNotAllowedError) and error.allow is not None:
        headers["allow"] = error.allow
    return Response(encode(error_body(error)), error.status, headers, "application/json")


class RequestMiddleware:
    """Stamps answers, translates exceptions, counts requests. The outermost layer."""

    def __init__(self, app: ASGIApp, *, exchanges: Exchanges, metrics: Metrics, tracer: Tracer) -> None:
        self._app = app
        self._exchanges = exchanges
        self._metrics = metrics
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request; never raises for HTTP."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, receive, send)
        with within(self._begin(answer, scope)) as span:
            try:
                await self._serve(answer, scope)
            finally:
                span.note(http__response__status_code=answer.status, http__route=_endpoint(scope))
                if answer.reason is not None:
                    span.fail(answer.reason)
                span.end()

    def _begin(self, answer: "_Answer", scope: Scope) -> Span:
        if scope["path"] in PROBES:
            return NOTHING
        return self._tracer.begin(
            f"{scope['method']} request",
            Headers(scope=scope),
            http__request__method=scope["method"],
            gateway__request_id=answer.request_id,
        )

    async def _serve(self, answer: "_Answer", scope: Scope) -> None:
        try:
            with self._exchanges.place(answer), answer.scope:
                await self._app(scope, answer.receive, answer.send)
            if answer.scope.cancelled_caught and not answer.is_answered:
                error = ShuttingDownError()
                answer.reason = error.reason
                self._metrics.refuse(error)
                await answer.end(error)
        except ClientGoneError:
            answer.status = 499
        except GatewayError as error:
            answer.reason = error.reason
            self._metrics.refuse(error)
            if error.status >= 500:
                extra = {"request_id": answer.request_id}
                trace = error if error.is_traced else None
                logger.warning("request failed: %s", error, extra=extra, exc_info=trace)
            await answer.refuse(error)
        except Exception:
            logger.exception("internal error", extra={"request_id": answer.request_id})
            internal = GatewayError(f"Internal error; request id {answer.request_id}.")
            answer.reason = internal.reason
            self._metrics.refuse(internal)
            await answer.refuse(internal)
        finally:
            endpoint = _endpoint(scope)
            self._metrics.requests.labels(endpoint, str(answer.status)).inc()
            self._metrics.request_seconds.labels(endpoint).observe(answer.seconds)
            answer.log(endpoint)


def _endpoint(scope: Scope) -> str:
    """Its route's path, which no client chooses."""
    return getattr(scope.get("route"), "path", "unknown")


class _Answer:
    """One exchange: what was received of the request, what was sent of the answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._started = time.perf_counter()
        self._body_complete = False
        self.request_id = f"req_{secrets.token_hex(16)}"
        self.status = 0
        self.reason: str | None = None
        self.scope = anyio.CancelScope()

    @property
    def seconds(self) -> float:
        """Since the request came."""
        return time.perf_counter() - self._started

    @property
    def is_answered(self) -> bool:
        """The status is out."""
        return bool(self.status)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._body_complete = True
        return message

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self.request_id
            headers["openai-processing-ms"] = str(round(self.seconds * 1000))
            if LENGTHS.issubset(Headers(scope=self._scope)):
                headers["connection"] = "close"
        await self._send(message)

    def log(self, endpoint: str) -> None:
        """A line for each request, with neither query nor key: where, how it ended, how long it took, who."""
        if endpoint in PROBES:
            return
        client = client_of(self._scope)
        extra = {
            "request_id": self.request_id,
            "milliseconds": round(self.seconds * 1000),
            "client": client.name or address_of(self._scope),
        }
        if self.reason is not None:
            extra["reason"] = self.reason
        access.info("%s %s %d", self._scope["method"], endpoint, self.status, extra=extra)

    async def refuse(self, error: GatewayError) -> None:
        if self.status:
            # The status line is out: all that can be done is to break off, so that the client notices.
            raise error
        # Who went silent was waited for already.
        if not self._body_complete and not isinstance(error, UploadTimeoutError):
            await Body(self.receive, upload_timeout=DISCARD_SECONDS).discard(DISCARD_BYTES)
        await error_response(error)(self._scope, self.receive, self.send)

    async def end(self, error: GatewayError) -> None:
        """Refuses what the server's end cut off; a refusal cannot follow half an answer.

        The rest of the body is read after the refusal: a connection that is closed with unread data is
        reset, and its client would not see what was sent.
        """
        response = error_response(error)
        response.headers["connection"] = "close"
        start = {
            "type": "http.response.start",
            "status": response.status_code,
            "headers": response.raw_headers,
        }
        await self.send(start)
        await self.send({"type": "http.response.body", "body": response.body, "more_body": True})
        if not self._body_complete:
            with anyio.move_on_after(FAREWELL_SECONDS):
                await Body(self.receive, upload_timeout=DISCARD_SECONDS).discard(DISCARD_BYTES)
        await self.send({"type": "http.response.body", "body": b"", "more_body": False})
