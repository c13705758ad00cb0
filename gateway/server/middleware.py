"""What every answer has: a request id, its processing time, and, where it failed, OpenAI's error envelope."""

import hmac
import logging
import secrets
import time
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import (
    AuthenticationError,
    ClientGoneError,
    GatewayError,
    MethodNotAllowedError,
    UploadTimeoutError,
)
from gateway.metrics import Metrics
from gateway.protocol.events import encode, error_body
from gateway.protocol.realtime.client_secrets import PREFIX, SecretSigner
from gateway.server.body import Body
from gateway.server.realtime import SESSION_CONFIG

logger = logging.getLogger(__name__)

DISCARD_SECONDS = 10.0
DISCARD_BYTES = 256 * 1024 * 1024
"""What is read of a body that was refused early, so that its sender gets to see the refusal."""

KEY_SUBPROTOCOL = "openai-insecure-api-key."
"""OpenAI's word for a WebSocket subprotocol that carries a key."""


def error_response(error: GatewayError) -> Response:
    """The error as a JSON answer."""
    headers = {} if error.retry_after is None else {"retry-after": str(max(1, error.retry_after))}
    if isinstance(error, MethodNotAllowedError) and error.allow is not None:
        headers["allow"] = error.allow
    return Response(encode(error_body(error)), error.status, headers, "application/json")


class RequestMiddleware:
    """Stamps answers, translates exceptions, counts requests. The outermost layer."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request; never raises for HTTP."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, receive, send)
        try:
            await self._app(scope, answer.receive, answer.send)
        except ClientGoneError:
            answer.status = 499
        except GatewayError as error:
            if error.status >= 500:
                logger.warning("request failed", extra={"request_id": answer.request_id}, exc_info=error)
            await answer.refuse(error)
        except Exception:
            logger.exception("internal error", extra={"request_id": answer.request_id})
            await answer.refuse(GatewayError(f"Internal error; request id {answer.request_id}."))
        finally:
            route = scope.get("route")
            endpoint = getattr(route, "path", "unknown")
            self._metrics.requests.labels(endpoint, str(answer.status)).inc()


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

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._body_complete = True
        return message

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            milliseconds = (time.perf_counter() - self._started) * 1000
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self.request_id
            headers["openai-processing-ms"] = str(round(milliseconds))
        await self._send(message)

    async def refuse(self, error: GatewayError) -> None:
        if self.status:
            # The status line is out: all that can be done is to break off, so that the client notices.
            raise error
        # Who went silent was waited for already.
        if not self._body_complete and not isinstance(error, UploadTimeoutError):
            await Body(self.receive, pause=DISCARD_SECONDS).discard(DISCARD_BYTES)
        await error_response(error)(self._scope, self.receive, self.send)


class AuthMiddleware:
    """Asks for a key below ``/v1/`` when keys are configured. Ephemeral ones open live sessions only."""

    def __init__(self, app: ASGIApp, *, api_keys: tuple[str, ...], signer: SecretSigner) -> None:
        self._app = app
        self._api_keys = tuple(key.encode() for key in api_keys)
        self._signer = signer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, or refuses it."""
        if self._opens_session(scope):
            pass
        elif (
            self._api_keys
            and scope["type"] in ("http", "websocket")
            and "/v1/" in scope["path"]
            and scope.get("method") != "OPTIONS"
        ):
            key = _key(scope)
            if not key:
                raise AuthenticationError(
                    "You didn't provide an API key. Send it in an Authorization header: Bearer YOUR_KEY."
                )
            given = key.encode()
            if not any(hmac.compare_digest(given, known) for known in self._api_keys):
                raise AuthenticationError("Incorrect API key provided.")
        await self._app(scope, receive, send)

    def _opens_session(self, scope: Scope) -> bool:
        """Whether an ephemeral key lets the live session in; its settings then stand in the scope.

        Raises:
            AuthenticationError: The key is forged or at its end. Let in all the same, where everybody is, the
                session would silently lack the settings its page relies on.
        """
        if scope["type"] != "websocket" or not scope["path"].endswith("/v1/realtime"):
            return False
        key = _key(scope)
        if not key.startswith(PREFIX):
            return False
        config = self._signer.verify(key, now=int(time.time()))
        if config is None:
            raise AuthenticationError("Incorrect or expired ephemeral key provided.")
        scope[SESSION_CONFIG] = config
        return True


def _key(scope: Scope) -> str:
    """The key of the Authorization header, or of the subprotocol: browsers give a WebSocket no headers."""
    scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    for subprotocol in scope.get("subprotocols", ()):
        if subprotocol.startswith(KEY_SUBPROTOCOL):
            return str(subprotocol.removeprefix(KEY_SUBPROTOCOL))
    return ""
