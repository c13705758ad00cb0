"""Every answer is stamped; every exception becomes the envelope, and its text stays here."""

import json
import logging
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.errors import (
    ClientGoneError,
    InvalidRequestError,
    MethodNotAllowedError,
    OverloadedError,
    UnavailableError,
    UploadTimeoutError,
)
from gateway.metrics import Metrics
from gateway.server.exchanges import Exchanges
from gateway.server.middleware import RequestMiddleware
from gateway.tracing import NoTracer


async def _call(app: Any) -> list[Message]:
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

    scope = {"type": "http", "path": "/v1/x", "method": "POST", "headers": []}
    await RequestMiddleware(app, exchanges=Exchanges(), metrics=Metrics(), tracer=NoTracer())(
        scope, receive, send
    )
    return sent


def _raising(error: Exception) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    return app


async def _fine(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def _headers(message: Message) -> dict[bytes, bytes]:
    return dict(message["headers"])


async def test_answers_are_stamped() -> None:
    """Request id and processing time are headers of every answer."""
    start, _ = await _call(_fine)

    assert _headers(start)[b"x-request-id"].startswith(b"req_")
    assert int(_headers(start)[b"openai-processing-ms"]) >= 0


async def test_our_errors_keep_status_and_parameter() -> None:
    """What the rooms raise is what the client reads."""
    start, body = await _call(_raising(InvalidRequestError("No.", param="file")))

    assert start["status"] == 400
    assert json.loads(body["body"])["error"] == {
        "message": "No.",
        "type": "invalid_request_error",
        "param": "file",
        "code": None,
    }


async def test_overload_says_when_to_come_back() -> None:
    """429 carries whole seconds."""
    start, _ = await _call(_raising(OverloadedError("Full.", retry_after=3)))

    assert start["status"] == 429
    assert _headers(start)[b"retry-after"] == b"3"


async def test_a_wrong_method_is_told_the_right_ones() -> None:
    """405 carries ``allow``, as RFC 9110 demands."""
    start, _ = await _call(_raising(MethodNotAllowedError("No.", "GET, HEAD")))

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
    app = RequestMiddleware(
        _raising(UploadTimeoutError("It stopped.")),
        exchanges=Exchanges(),
        metrics=Metrics(),
        tracer=NoTracer(),
    )
    await app(scope, silent, send)

    assert [message.get("status") for message in sent] == [408, None]


async def test_what_is_not_there_for_now_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """A full disk or a worker that is gone is met by every request: no traceback for each."""
    start, _ = await _call(_raising(UnavailableError("Not now.", retry_after=10)))
    (failed,) = [record for record in caplog.records if record.levelno >= logging.WARNING]

    assert (start["status"], failed.getMessage()) == (503, "request failed: Not now.")
    assert failed.exc_info is None


@pytest.mark.filterwarnings("default")
async def test_unknown_exceptions_are_internal_errors() -> None:
    """Their text is for the log; the client gets the request id."""
    start, body = await _call(_raising(RuntimeError("/secret/path")))

    assert start["status"] == 500
    assert b"secret" not in body["body"]
    assert _headers(start)[b"x-request-id"] in body["body"]


async def test_nobody_is_answered_who_left() -> None:
    """A client that is gone costs no answer and no error."""
    assert await _call(_raising(ClientGoneError())) == []
