"""Each route asks for the keys it should, and nobody without one learns which paths there are."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from gateway.keys import ClientLimits, plain_keys
from gateway.metrics import Metrics
from gateway.protocol.realtime.client_secrets import SecretSigner
from gateway.protocol.realtime.config import SessionConfig
from gateway.server.admission import Admission
from gateway.server.auth import Keys
from gateway.server.exchanges import Exchanges
from gateway.server.origins import Origins
from gateway.server.routes import build_routes
from gateway.tracing import NoTracer

SIGNER = SecretSigner([b"secret"])
EPHEMERAL, _ = SIGNER.sign(
    SessionConfig.default("m"),
    now=4_000_000_000,
    seconds=10,
    made_by=plain_keys(("k1",), ClientLimits())[0].name,
)


class Stub:
    """An endpoint that answers 200 or accepts and closes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one client."""
        if scope["type"] == "websocket":
            websocket = WebSocket(scope, receive, send)
            await websocket.accept()
            await websocket.close()
        else:
            await Response("fine")(scope, receive, send)


async def fine(_: Request) -> Response:
    """An endpoint that answers 200."""
    return Response("fine")


@asynccontextmanager
async def nothing(_: Any) -> AsyncIterator[None]:
    """A lifespan."""
    yield


@pytest.fixture
def app() -> Any:
    """All routes, with one API key, and stubs as endpoints."""
    stub: Any = Stub()
    names = "create create_session list one health ready metrics openapi home reference live asset read"
    pages: Any = SimpleNamespace(**dict.fromkeys(names.split(), fine))
    return build_routes(
        transcriptions=stub,
        translations=stub,
        dialects={"/asr": stub},
        transcriptions_ws=stub,
        realtime=stub,
        client_secrets=pages,
        models=pages,
        health=pages,
        captions=pages,
        docs=pages,
        keys=Keys(lambda: plain_keys(("k1",), ClientLimits()), SIGNER),
        origins=Origins(open=False),
        exchanges=Exchanges(),
        sessions=Admission(),
        metrics=Metrics(),
        tracer=NoTracer(),
        lifespan=nothing,
    )


@pytest.mark.parametrize(
    ("method", "path", "without", "with_key"),
    [
        ("POST", "/v1/audio/transcriptions", 401, 200),
        ("POST", "/project/v1/audio/translations", 401, 200),
        ("GET", "/v1/models", 401, 200),
        ("GET", "/v1/models/openai/whisper-1", 401, 200),
        ("POST", "/v1/realtime/client_secrets", 401, 200),
        ("GET", "/v1/audio/transcriptions", 401, 405),
        ("GET", "/v1/nothing", 401, 404),
        ("GET", "/v1/", 404, 404),
        ("GET", "//v1//models/", 401, 200),
        ("POST", "/audio/transcriptions/", 401, 200),
        ("GET", "/models/openai/whisper-1", 401, 200),
        ("POST", "/v1/v1/audio/transcriptions", 401, 200),
        ("POST", "/openai/v1/audio/transcriptions", 401, 200),
        ("POST", "/openai/deployments/mine/audio/transcriptions", 401, 200),
        ("POST", "/openai/deployments/mine/audio/translations", 401, 200),
        ("POST", "/openai/deployments/mine", 404, 404),
        ("GET", "/a/b/v1/models", 401, 404),
        ("POST", "/asr", 401, 200),
        ("GET", "/v1", 404, 404),
        ("GET", "/nothing", 404, 404),
        ("OPTIONS", "/v1/models", 405, 405),
        ("OPTIONS", "/v1/nothing", 404, 404),
        ("GET", "/health", 200, 200),
        ("GET", "/", 200, 200),
        ("GET", "/docs", 200, 200),
        ("GET", "/captions/any", 200, 200),
    ],
)
async def test_http(app: Any, method: str, path: str, without: int, with_key: int) -> None:
    """Below the version a key comes first, whatever is there; probes and pages need none."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        bare = await client.request(method, path)
        ephemeral = await client.request(method, path, headers={"authorization": f"Bearer {EPHEMERAL}"})
        keyed = await client.request(method, path, headers={"authorization": "Bearer k1"})

    assert (bare.status_code, keyed.status_code) == (without, with_key)
    assert ephemeral.status_code == (403 if without == 401 else without)


@pytest.mark.parametrize(
    ("path", "key", "code"),
    [
        ("/v1/realtime", "k1", 1000),
        ("/v1/realtime", EPHEMERAL, 1000),
        ("/project/v1/realtime", EPHEMERAL, 1000),
        ("/realtime", EPHEMERAL, 1000),
        ("/openai/realtime", "k1", 1000),
        ("/v1/realtime", "wrong", 1008),
        ("/v1/audio/transcriptions", "k1", 1000),
        ("/v1/audio/transcriptions", EPHEMERAL, 1008),
        ("/v1/realtime/more", EPHEMERAL, 1008),
        ("/v1/nothing", "wrong", 1008),
        ("/v1/nothing", "k1", 1000),
        ("/nothing", "wrong", 1000),
    ],
)
async def test_websockets(app: Any, path: str, key: str, code: int) -> None:
    """An ephemeral key opens live sessions and nothing else; an unknown path is closed before it is open."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {key}".encode())]
    await app(
        {"type": "websocket", "path": path, "query_string": b"", "headers": headers, "subprotocols": []},
        receive,
        send,
    )

    assert sent[-1]["code"] == code
    assert (sent[0]["type"] == "websocket.accept") == (code == 1008 or not path.endswith("/nothing"))
    if code == 1008:
        assert ("event_id" in sent[1]["text"]) == path.endswith("/realtime")
