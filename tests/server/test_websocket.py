"""Whatever an endpoint raises becomes one frame and a close code, and nothing is sent to who is gone."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from prometheus_client import generate_latest
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from gateway.aio import open_task_group
from gateway.errors import (
    AuthenticationError,
    ClientGoneError,
    GatewayError,
    InvalidAudioError,
    OverloadedError,
    ShuttingDownError,
    UnavailableError,
)
from gateway.metrics import Metrics
from gateway.server.admission import Admission
from gateway.server.exchanges import Exchanges
from gateway.server.routes import KeyWebSocketRoute
from gateway.server.websocket import WebSocketMiddleware, event_frame
from gateway.tracing import NoTracer
from tests.protocol.realtime.wire import check_frame

Endpoint = Callable[[WebSocket], Awaitable[None]]


class Connection:
    """The server's side of one WebSocket, without a server."""

    def __init__(self, endpoint: Endpoint) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await endpoint(WebSocket(scope, receive, send))

        self.sent: list[Message] = []
        self.metrics = Metrics()
        self.sessions = Admission()
        self.gone = False
        self.is_full = False
        self.app = WebSocketMiddleware(
            app, sessions=self.sessions, exchanges=Exchanges(), metrics=self.metrics, tracer=NoTracer()
        )

    async def __call__(
        self,
        *,
        route: KeyWebSocketRoute | None = None,
        subprotocols: tuple[str, ...] = (),
    ) -> None:
        """Serves the connection to its end, as Starlette's router would have led it to ``route``."""
        scope: Scope = {
            "type": "websocket",
            "path": "/v1/x",
            "headers": [],
            "subprotocols": list(subprotocols),
            "route": route,
        }
        await self.app(scope, self.receive, self.send)

    async def receive(self) -> Message:
        """The client opens the connection."""
        return {"type": "websocket.connect"}

    async def send(self, message: Message) -> None:
        """Keeps what is sent; or nobody takes it."""
        if self.is_full:
            await anyio.sleep_forever()
        if self.gone:
            raise OSError
        self.sent.append(message)

    @property
    def types(self) -> list[str]:
        """Of the messages that were sent."""
        return [message["type"].removeprefix("websocket.") for message in self.sent]


def raising(error: Exception, *, accepted: bool) -> Endpoint:
    """An endpoint that fails."""

    async def endpoint(websocket: WebSocket) -> None:
        if accepted:
            await websocket.accept()
        raise error

    return endpoint


async def fine(websocket: WebSocket) -> None:
    """An endpoint that says one word."""
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize(
    ("error", "code"),
    [(OverloadedError("Full."), 1013), (InvalidAudioError("No."), 1007), (GatewayError("Oh."), 1011)],
)
async def test_an_error_is_a_frame_and_a_code(error: GatewayError, code: int, *, accepted: bool) -> None:
    """Before the handshake and behind it; the reason says the same for those who see only that."""
    connection = Connection(raising(error, accepted=accepted))
    await connection()
    accept, frame, close = connection.sent

    assert connection.types == ["accept", "send", "close"]
    assert dict(accept["headers"])[b"x-request-id"].startswith(b"req_")
    assert json.loads(frame["text"]) == {
        "error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    }
    assert (close["code"], close["reason"]) == (code, error.message)
    assert f'status="{code}"'.encode() in generate_latest(connection.metrics.registry)


async def test_live_sessions_have_their_own_error_frame() -> None:
    """Before the handshake and after it: an `error` event as OpenAI's package has it."""
    route = KeyWebSocketRoute("/v1/live", fine, check=lambda _: None, error_frame=event_frame)
    for accepted in (False, True):
        connection = Connection(raising(AuthenticationError("No."), accepted=accepted))
        await connection(route=route)
        event = check_frame(connection.sent[1]["text"])

        assert (event["type"], event["error"]["message"]) == ("error", "No.")
        assert connection.sent[-1]["code"] == 1008


@pytest.mark.parametrize("error", [OverloadedError("Full."), ShuttingDownError()])
async def test_live_sessions_that_shall_come_again(error: GatewayError) -> None:
    """They are closed with a reason and no `error`, which some clients take for the last word."""
    route = KeyWebSocketRoute("/v1/live", fine, check=lambda _: None, error_frame=event_frame)
    for accepted in (False, True):
        connection = Connection(raising(error, accepted=accepted))
        await connection(route=route)

        assert connection.types == ["accept", "close"]
        assert connection.sent[-1]["code"] in (1012, 1013)
        assert connection.sent[-1]["reason"] == error.message


async def test_what_is_not_there_for_now_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """Every session meets it: no traceback for each."""
    await Connection(raising(UnavailableError("Not now."), accepted=True))()
    (failed,) = caplog.records

    assert (failed.getMessage(), failed.exc_info) == ("session failed: Not now.", None)


@pytest.mark.parametrize(
    ("errors", "types", "logged"),
    [
        ((OverloadedError("x"), ClientGoneError()), ["accept"], False),
        ((ClientGoneError(), ClientGoneError()), ["accept"], False),
        ((OverloadedError("x"), InvalidAudioError("y")), ["accept", "send", "close"], False),
        ((ClientGoneError(), RuntimeError("x")), ["accept", "send", "close"], True),
    ],
)
async def test_failures_of_several_tasks(
    errors: tuple[Exception, ...], types: list[str], caplog: pytest.LogCaptureFixture, *, logged: bool
) -> None:
    """A client that leaves while something else fails is no internal error; what nobody foresaw still is."""

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        async with open_task_group() as tasks:
            for error in errors:
                tasks.start_soon(_fail, error)

    connection = Connection(endpoint)
    await connection()

    assert connection.types == types
    assert bool(caplog.records) == logged


async def _fail(error: Exception) -> None:
    raise error


async def test_unknown_exceptions_are_internal_errors() -> None:
    """Their text is for the log; the client gets the request id of the handshake."""
    connection = Connection(raising(RuntimeError("/secret/path"), accepted=True))
    await connection()
    accept, frame, close = connection.sent

    assert "secret" not in frame["text"] + close["reason"]
    assert dict(accept["headers"])[b"x-request-id"].decode() in frame["text"]
    assert close["code"] == 1011


@pytest.mark.parametrize("error", [ClientGoneError(), GatewayError("x"), RuntimeError("x")])
async def test_nobody_is_answered_who_left(error: Exception) -> None:
    """A connection that is gone is no error of ours, whatever else went wrong."""

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        connection.gone = True
        if isinstance(error, ClientGoneError):
            await websocket.send_text("into the void")
        raise error

    connection = Connection(endpoint)
    await connection()

    assert connection.types == ["accept"]


async def test_one_who_reads_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The goodbye to a full connection takes its time and no longer."""
    monkeypatch.setattr("gateway.server.websocket.GOODBYE_SECONDS", 0.01)

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        connection.is_full = True
        raise OverloadedError("Full.")

    connection = Connection(endpoint)
    await connection()

    assert connection.types == ["accept"]


@pytest.mark.parametrize(
    ("offered", "selected"),
    [
        ((), None),
        (("chat",), None),
        (("realtime",), "realtime"),
        (("openai-insecure-api-key.k", "realtime"), "realtime"),
    ],
)
async def test_subprotocols(offered: tuple[str, ...], selected: str | None) -> None:
    """The one that OpenAI's clients offer is selected, and never the one with the key."""
    connection = Connection(fine)
    await connection(subprotocols=offered)

    assert connection.sent[0]["subprotocol"] == selected
    assert connection.types == ["accept", "send", "close"]


async def test_the_end_waits_for_all() -> None:
    """Who waits for the end of the sessions is woken by the last one."""
    release = anyio.Event()

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await release.wait()

    connection = Connection(endpoint)
    order: list[str] = []

    async def wait() -> None:
        await connection.sessions.all_left()
        order.append("ended")

    await connection.sessions.all_left()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection)
        tasks.start_soon(connection)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        order.append("released")
        release.set()

    assert order == ["released", "ended"]


async def test_http_passes() -> None:
    """Other scopes are others' business."""
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    connection = Connection(fine)
    await WebSocketMiddleware(
        app, sessions=Admission(), exchanges=Exchanges(), metrics=Metrics(), tracer=NoTracer()
    )({"type": "http"}, connection.receive, connection.send)

    assert seen == ["http"]
