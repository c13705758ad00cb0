"""Ephemeral keys over HTTP: made of settings that were checked, kept nowhere."""

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import httpx
import pytest
from openai.types.beta.realtime import TranscriptionSession
from openai.types.realtime import ClientSecretCreateResponse
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import Message

from gateway.engine.api import Model, ModelDefaults, Recognizer
from gateway.engine.catalog import Catalog
from gateway.metrics import Metrics
from gateway.protocol.realtime.client_secrets import SecretSigner
from gateway.server.client_secrets import MAX_BODY_BYTES, ClientSecrets
from gateway.server.exchanges import Exchanges
from gateway.server.middleware import RequestMiddleware
from gateway.tracing import NoTracer
from tests.protocol.realtime.wire import check

SIGNER = SecretSigner([b"secret"])
LONG = " ".join(map(str, range(2_000)))
"""No header could hold a key with this prompt, compressed or not."""


class Unloaded:
    """A model that must not be loaded for a key."""

    name = "local-model"
    defaults = ModelDefaults()

    def lease(self) -> AbstractAsyncContextManager[Recognizer]:
        """As `Model`."""
        raise AssertionError("loaded for a key")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Speaks to the two endpoints."""
    models: list[Model] = [Unloaded()]
    secrets = ClientSecrets(Catalog(models, ["whisper-1", "gpt-live-transcribe"]), SIGNER, upload_timeout=0.1)
    app = Starlette(
        routes=[
            Route("/new", secrets.create, methods=["POST"]),
            Route("/old", secrets.create_session, methods=["POST"]),
        ],
        middleware=[
            Middleware(RequestMiddleware, exchanges=Exchanges(), metrics=Metrics(), tracer=NoTracer())
        ],
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as opened:
        yield opened


def wanted(**transcription: Any) -> dict[str, Any]:
    """A request for a session with these settings."""
    return {"session": {"type": "transcription", "audio": {"input": {"transcription": transcription}}}}


async def test_a_key_for_nothing_special(client: httpx.AsyncClient) -> None:
    """No body at all: the first model, ten minutes."""
    answer = (await client.post("/new")).json()
    claims = SIGNER.verify(answer["value"], now=int(time.time()))
    config = None if claims is None else claims.session
    parsed = check(
        ClientSecretCreateResponse, {**answer, "session": {"type": "transcription", **_cut(answer)}}
    )

    assert isinstance(parsed, ClientSecretCreateResponse)
    assert 590 < answer["expires_at"] - time.time() <= 600
    assert config is not None
    assert config.transcription is not None
    assert config.transcription.model == "local-model"
    assert answer["session"]["id"].startswith("sess_")


def _cut(answer: dict[str, Any]) -> dict[str, Any]:
    """The session's identity, which is what the package's type of the answer shares with ours."""
    return {name: answer["session"][name] for name in ("id", "object")}


async def test_settings(client: httpx.AsyncClient) -> None:
    """What is signed is what the answer shows, for aliases too; each key is another session's."""
    body = wanted(model="gpt-live-transcribe", language="de", delay="high")
    answers = [(await client.post("/new", json=body)).json() for _ in range(2)]
    claims = SIGNER.verify(answers[0]["value"], now=int(time.time()))
    config = None if claims is None else claims.session
    assert config is not None
    shown = answers[0]["session"]

    assert shown["audio"]["input"]["transcription"]["delay"] == "high"
    assert shown["audio"]["input"]["turn_detection"] is None
    assert config.to_wire()["audio"] == shown["audio"]
    assert answers[1]["session"]["id"] != shown["id"]


async def test_no_transcription(client: httpx.AsyncClient) -> None:
    """A session may only tell who speaks when."""
    body = {"session": {"audio": {"input": {"transcription": None}}}}
    answer = await client.post("/new", json=body)

    assert answer.json()["session"]["audio"]["input"]["transcription"] is None


async def test_the_old_endpoint(client: httpx.AsyncClient) -> None:
    """Flat fields both ways, as the package's old type has them."""
    body = {"input_audio_format": "pcm16", "input_audio_transcription": {"model": "whisper-1"}}
    answer = (await client.post("/old", json=body)).json()
    parsed = TranscriptionSession.model_validate(answer)

    assert parsed.input_audio_transcription is not None
    assert parsed.input_audio_transcription.model == "whisper-1"
    assert SIGNER.verify(parsed.client_secret.value, now=int(time.time())) is not None


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("/new", {"session": {"type": "speech"}}, 400, "session.type"),
        ("/new", {"expires_after": {"anchor": "later"}}, 400, "expires_after.anchor"),
        ("/new", {"expires_after": {"seconds": 7_201}}, 400, "expires_after.seconds"),
        ("/new", {"max_session": 1}, 400, "max_session"),
        ("/new", {"expires_after": {"secnds": 10}}, 400, "expires_after.secnds"),
        ("/old", {"pined": True}, 400, "pined"),
        ("/old", {"client_secret": {"expires_at": {"sec": 10}}}, 400, "client_secret.expires_at.sec"),
        ("/new", wanted(model="nope"), 404, "session.audio.input.transcription.model"),
        ("/new", wanted(delay="soon"), 400, "session.audio.input.transcription.delay"),
        ("/new", wanted(prompt=LONG), 400, "session.audio.input.transcription"),
        ("/old", {"input_audio_format": "mp3"}, 400, "input_audio_format"),
        ("/old", {"input_audio_transcription": {"model": "nope"}}, 404, "input_audio_transcription.model"),
        ("/old", wanted(model="nope")["session"], 404, "audio.input.transcription.model"),
        (
            "/new",
            {"session": {"input_audio_transcription": {"model": "nope"}}},
            404,
            "session.input_audio_transcription.model",
        ),
    ],
)
async def test_refusals(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], status: int, param: str
) -> None:
    """Each names the field as the client wrote it."""
    answer = await client.post(path, json=body)

    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


async def test_a_body_that_stops(client: httpx.AsyncClient) -> None:
    """Nobody waits for it for ever."""

    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await anyio.sleep_forever()

    answer = await client.post("/new", content=body())

    assert answer.status_code == 408
    assert answer.json()["error"]["param"] is None


async def test_a_client_that_leaves_within_its_body(caplog: pytest.LogCaptureFixture) -> None:
    """Is no error of ours."""
    models: list[Model] = [Unloaded()]
    secrets = ClientSecrets(Catalog(models), SIGNER, upload_timeout=0.1)
    app = Starlette(
        routes=[Route("/new", secrets.create, methods=["POST"])],
        middleware=[
            Middleware(RequestMiddleware, exchanges=Exchanges(), metrics=Metrics(), tracer=NoTracer())
        ],
    )
    messages: list[Message] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        raise AssertionError(message)

    scope = {
        "type": "http",
        "path": "/new",
        "raw_path": b"/new",
        "root_path": "",
        "query_string": b"",
        "method": "POST",
        "headers": [],
    }
    await app(scope, receive, send)

    assert caplog.records == []


async def test_a_body_without_end(client: httpx.AsyncClient) -> None:
    """Is refused when it is too long, and not read to its end first to be parsed."""
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1_000):
            sent += 1_024
            yield b" " * 1_024

    answer = await client.post("/new", content=body())

    assert answer.status_code == 413
    assert sent > MAX_BODY_BYTES
