"""Who may open a live session: keys in headers and subprotocols, ephemeral ones on every replica."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from openai import OpenAI, PermissionDeniedError
from websockets.sync.client import connect

from gateway.protocol.realtime.client_secrets import SecretSigner
from gateway.protocol.realtime.config import SessionConfig
from tests.e2e.speaker import speaker
from tests.scripted import ScriptedSpec
from tests.support import LiveServer, live_server

SECRETS = "/v1/realtime/client_secrets"
LEGACY = "/v1/realtime/transcription_sessions"
KEY = {"Authorization": "Bearer first"}
SESSION = {
    "type": "transcription",
    "audio": {"input": {"transcription": {"model": "whisper-1", "language": "de"}, "turn_detection": None}},
}


def as_header(key: str) -> dict[str, Any]:
    """As servers and SDKs send it."""
    return {"additional_headers": {"Authorization": f"Bearer {key}"}}


def as_subprotocol(key: str) -> dict[str, Any]:
    """As browsers send it."""
    return {"subprotocols": ["realtime", f"openai-insecure-api-key.{key}"]}


@pytest.fixture(scope="module")
def replicas() -> Iterator[tuple[LiveServer, LiveServer]]:
    """Two servers with the same keys, in another order."""
    with (
        live_server([ScriptedSpec()], api_keys=("first", "second")) as one,
        live_server([ScriptedSpec()], api_keys=("second", "first")) as other,
    ):
        yield one, other


def settings(server: LiveServer, **options: Any) -> Mapping[str, Any]:
    """How a session with this key begins."""
    with speaker(server, options=options) as session:
        created: Mapping[str, Any] = session.receive()["session"]["audio"]["input"]
        return created


@pytest.mark.parametrize("way", [as_header, as_subprotocol])
def test_keys(replicas: tuple[LiveServer, LiveServer], way: Any) -> None:
    """The subprotocol that OpenAI's clients expect is selected, and the session works."""
    server = replicas[0]
    with speaker(server, options=way("second")) as session:
        assert session.receive()["type"] == "session.created"
        assert session.update(turn_detection=None)
        assert session.socket.subprotocol == ("realtime" if way is as_subprotocol else None)


@pytest.mark.parametrize("options", [{}, as_header("wrong"), as_subprotocol("wrong"), as_header("ek_wrong")])
def test_wrong_keys(replicas: tuple[LiveServer, LiveServer], options: dict[str, Any]) -> None:
    """The handshake succeeds, so that browsers see why they are refused; no client tries again."""
    with speaker(replicas[0], options=options) as session:
        code, reason = session.closed()
        [event] = session.events
        session.events.clear()

    assert code == 1008
    assert event["error"]["code"] == "invalid_api_key"
    assert event["error"]["message"] == reason


def test_an_ephemeral_key_opens_sessions_on_any_replica(replicas: tuple[LiveServer, LiveServer]) -> None:
    """With the settings it was made with, as header and as subprotocol, several times."""
    one, other = replicas
    body = {"expires_after": {"anchor": "created_at", "seconds": 7_200}, "session": SESSION}
    answer = httpx.post(one.url + SECRETS, json=body, headers=KEY).json()
    given = answer["session"]["audio"]["input"]

    assert answer["value"].startswith("ek_")
    assert 7_190 < answer["expires_at"] - time.time() <= 7_200
    assert (given["transcription"]["language"], given["turn_detection"]) == ("de", None)
    for server in (other, one, other):
        assert settings(server, **as_header(answer["value"])) == given
        assert settings(server, **as_subprotocol(answer["value"])) == given


def test_an_ephemeral_key_opens_nothing_else(replicas: tuple[LiveServer, LiveServer]) -> None:
    """Not the models, not files, not more keys, not the other WebSocket."""
    server = replicas[0]
    value = httpx.post(server.url + SECRETS, headers=KEY).json()["value"]
    headers = {"Authorization": f"Bearer {value}"}
    client = OpenAI(base_url=f"{server.url}/v1", api_key=value, max_retries=0)

    assert httpx.post(server.url + SECRETS, headers=headers).status_code == 403
    assert httpx.post(server.url + LEGACY, headers=headers).status_code == 403
    with client:
        with pytest.raises(PermissionDeniedError):
            client.models.list()
        with pytest.raises(PermissionDeniedError):
            client.audio.transcriptions.create(file=b"", model="whisper-1")
    url = server.url.replace("http", "ws", 1) + "/v1/audio/transcriptions?model=whisper-1"
    with connect(url, additional_headers=headers) as socket:
        assert "live sessions only" in str(socket.recv(timeout=120))


def test_ephemeral_keys_end_and_cannot_be_forged() -> None:
    """What another key has signed, what is over, and what was changed is refused."""
    config = SessionConfig.default("scripted")
    now = int(time.time())
    with live_server([ScriptedSpec()], api_keys=("ann:k",), session_secret="s" * 32) as server:
        ours, others = SecretSigner([b"s" * 32]), SecretSigner([b"o" * 32])
        good, _ = ours.sign(config, now=now, seconds=60, made_by="ann")
        over, _ = ours.sign(config, now=now - 61, seconds=60, made_by="ann")
        forged, _ = others.sign(config, now=now, seconds=60, made_by="ann")

        assert settings(server, **as_header(good))
        for value in (over, forged, good[:-1], good.replace("ek_", "ek_A")):
            with speaker(server, options=as_header(value)) as session:
                assert session.closed()[0] == 1008
                session.events.clear()


def test_the_legacy_endpoint(replicas: tuple[LiveServer, LiveServer]) -> None:
    """Flat fields in, a session with its secret out, and the secret is worth the same."""
    one, other = replicas
    body = {
        "input_audio_format": "g711_ulaw",
        "input_audio_transcription": {"model": "whisper-1", "language": "de"},
        "turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
    }
    answer = httpx.post(f"{one.url}/my-project{LEGACY}", json=body, headers=KEY).json()
    begun = settings(other, **as_header(answer["client_secret"]["value"]))

    assert answer["input_audio_format"] == "g711_ulaw"
    assert begun["format"]["type"] == "audio/pcmu"
    assert begun["transcription"]["language"] == "de"
    assert begun["turn_detection"]["silence_duration_ms"] == 300


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b"[]", 400, None),
        (b'{"expires_after":{"seconds":1}}', 400, "expires_after.seconds"),
        (
            b'{"session":{"audio":{"input":{"transcription":{"model":"nope"}}}}}',
            404,
            "session.audio.input.transcription.model",
        ),
        (b" " * 300_000, 413, None),
    ],
)
def test_refusals(
    replicas: tuple[LiveServer, LiveServer], body: bytes, status: int, param: str | None
) -> None:
    """A key that could open nothing is not made."""
    answer = httpx.post(replicas[0].url + SECRETS, content=body, headers=KEY)

    assert answer.status_code == status
    assert answer.json()["error"]["param"] == param
