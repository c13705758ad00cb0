"""Every answer is stamped; every exception becomes the envelope, and its text stays here."""

import json
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.errors import (
    AuthenticationError,
    ClientGoneError,
    InvalidRequestError,
    MethodNotAllowedError,
    OverloadedError,
    UploadTimeoutError,
)
from gateway.metrics import Metrics
from gateway.protocol.realtime.client_secrets import SecretSigner
from gateway.protocol.realtime.config import SessionConfig
from gateway.server.middleware import AuthMiddleware, RequestMiddleware
from gateway.server.realtime import SESSION_CONFIG

SIGNER = SecretSigner([b"secret"])


async def _call(app: Any, *, headers: dict[str, str] | None = None, path: str = "/v1/x") -> list[Message]:
    """The messages of one request with a body in two pieces."""
    body = [
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.request", "body": b"b", "more_body": False},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return body.pop(0) if body else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "path": path,
        "method": "POST",
        "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
    }
    guarded = AuthMiddleware(app, api_keys=("k1", "k2"), signer=SIGNER)
    await RequestMiddleware(guarded, metrics=Metrics())(scope, receive, send)
    return sent


def _raising(error: Exception) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    return app


async def _fine(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


KEY = {"authorization": "Bearer k2"}


def _headers(message: Message) -> dict[bytes, bytes]:
    return dict(message["headers"])


async def test_answers_are_stamped() -> None:
    """Request id and processing time are headers of every answer."""
    start, _ = await _call(_fine, headers=KEY)

    assert _headers(start)[b"x-request-id"].startswith(b"req_")
    assert int(_headers(start)[b"openai-processing-ms"]) >= 0


async def test_our_errors_keep_status_and_parameter() -> None:
    """What the rooms raise is what the client reads."""
    start, body = await _call(_raising(InvalidRequestError("No.", param="file")), headers=KEY)

    assert start["status"] == 400
    assert json.loads(body["body"])["error"] == {
        "message": "No.",
        "type": "invalid_request_error",
        "param": "file",
        "code": None,
    }


async def test_overload_says_when_to_come_back() -> None:
    """429 carries whole seconds."""
    start, _ = await _call(_raising(OverloadedError("Full.", retry_after=3)), headers=KEY)

    assert start["status"] == 429
    assert _headers(start)[b"retry-after"] == b"3"


async def test_a_wrong_method_is_told_the_right_ones() -> None:
    """405 carries ``allow``, as RFC 9110 demands."""
    start, _ = await _call(_raising(MethodNotAllowedError("No.", "GET, HEAD")), headers=KEY)

    assert start["status"] == 405
    assert _headers(start)[b"allow"] == b"GET, HEAD"


async def test_who_went_silent_is_answered_at_once() -> None:
    """After a body that stopped nobody waits for the rest of it once more."""
    sent: list[Message] = []

    async def silent() -> Message:
        raise AssertionError("asked for more of the body")

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/health", "method": "POST", "headers": []}
    app = RequestMiddleware(_raising(UploadTimeoutError("It stopped.")), metrics=Metrics())
    await app(scope, silent, send)

    assert [message.get("status") for message in sent] == [408, None]


@pytest.mark.filterwarnings("default")
async def test_unknown_exceptions_are_internal_errors() -> None:
    """Their text is for the log; the client gets the request id."""
    start, body = await _call(_raising(RuntimeError("/secret/path")), headers=KEY)

    assert start["status"] == 500
    assert b"secret" not in body["body"]
    assert _headers(start)[b"x-request-id"] in body["body"]


async def test_nobody_is_answered_who_left() -> None:
    """A client that is gone costs no answer and no error."""
    assert await _call(_raising(ClientGoneError()), headers=KEY) == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "k1"},
        {"authorization": "Basic k1"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer k1\u00fc"},
    ],
)
async def test_wrong_keys(headers: dict[str, str]) -> None:
    """Without an accepted key nothing below /v1/ is reached."""
    start, body = await _call(_fine, headers=headers)

    assert start["status"] == 401
    assert json.loads(body["body"])["error"]["code"] == "invalid_api_key"


LATER = 4_000_000_000


async def test_an_ephemeral_key_opens_no_endpoint_of_http() -> None:
    """Whatever its path ends with."""
    value, _ = SIGNER.sign(SessionConfig.default("m"), now=LATER, seconds=10)
    for path in ("/v1/models", "/v1/realtime", "/v1/realtime/client_secrets"):
        start, _ = await _call(_fine, headers={"authorization": f"Bearer {value}"}, path=path)

        assert start["status"] == 401


@pytest.mark.parametrize(
    ("path", "is_let_in"),
    [
        ("/v1/realtime", True),
        ("/project/v1/realtime", True),
        ("/v1/audio/transcriptions", False),
        ("/v1/realtime/more", False),
    ],
)
@pytest.mark.parametrize("keys", [("k1",), ()])
async def test_an_ephemeral_key_opens_live_sessions(
    path: str, keys: tuple[str, ...], *, is_let_in: bool
) -> None:
    """Its settings stand in the scope; where no keys are configured everybody is let in, without them."""
    config = SessionConfig.default("m")
    value, _ = SIGNER.sign(config, now=LATER, seconds=10)
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def nothing(*_: Any) -> Any:
        raise AssertionError("spoke before anybody was let in")

    scope = {
        "type": "websocket",
        "path": path,
        "headers": [],
        "subprotocols": ["realtime", f"openai-insecure-api-key.{value}"],
    }
    guarded = AuthMiddleware(app, api_keys=keys, signer=SIGNER)
    if is_let_in or not keys:
        await guarded(scope, nothing, nothing)

        assert [scope.get(SESSION_CONFIG) for scope in seen] == [config if is_let_in else None]
    else:
        with pytest.raises(AuthenticationError):
            await guarded(scope, nothing, nothing)


@pytest.mark.parametrize("keys", [("k1",), ()])
async def test_a_stale_ephemeral_key_opens_nothing(keys: tuple[str, ...]) -> None:
    """Not even where everybody is let in: the session would silently lack the settings its page relies on."""
    value, _ = SIGNER.sign(SessionConfig.default("m"), now=0, seconds=10)
    scope = {
        "type": "websocket",
        "path": "/v1/realtime",
        "headers": [(b"authorization", f"Bearer {value}".encode())],
        "subprotocols": [],
    }

    async def nothing(*_: Any) -> Any:
        raise AssertionError("let in")

    with pytest.raises(AuthenticationError):
        await AuthMiddleware(nothing, api_keys=keys, signer=SIGNER)(scope, nothing, nothing)


async def test_health_needs_no_key() -> None:
    """Probes have none."""
    start, _ = await _call(_fine, path="/health")

    assert start["status"] == 200
