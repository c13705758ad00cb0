"""The official clients work unchanged, from real audio to `completed`: Python in both ways, and Node."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.realtime import (
    ConversationItemInputAudioTranscriptionCompletedEvent,
    RealtimeErrorEvent,
    RealtimeTranscriptionSessionCreateRequestParam,
    SessionCreatedEvent,
)

from tests.e2e.speaker import COMPLETED, check_events, speech
from tests.protocol.realtime.wire import check_frame
from tests.support import LiveServer, Sample

PIECE = 4_800
INTENT = {"intent": "transcription"}


def settings(turns: dict[str, Any] | None) -> RealtimeTranscriptionSessionCreateRequestParam:
    """A session as the package's types have it; continuous models have no turns to set."""
    return {
        "type": "transcription",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "turn_detection": turns,  # type: ignore[typeddict-item]  # one of the two kinds
            }
        },
        "include": ["item.input_audio_transcription.logprobs"],
    }


def pieces(sample: Sample) -> Iterator[str]:
    """The recording in appends of 100 ms."""
    data = speech(sample.path)
    for start in range(0, len(data), PIECE):
        yield base64.b64encode(data[start : start + PIECE]).decode()


CASES: dict[str, tuple[str, dict[str, Any] | None, bool]] = {
    "server_vad": ("gpt-4o-transcribe", {"type": "server_vad"}, False),
    "semantic_vad": ("gpt-4o-mini-transcribe", {"type": "semantic_vad", "eagerness": "high"}, False),
    "commit": ("whisper-1", None, True),
    "continuous": ("gpt-live-transcribe", None, True),
}


def expected(sample: Sample, *, commit: bool) -> list[str]:
    """The items' texts."""
    return [sample.text] if commit else [utterance["text"] for utterance in sample.utterances]


@pytest.mark.parametrize("case", CASES)
def test_synchronous(live: LiveServer, samples: dict[str, Sample], case: str) -> None:
    """Typed events, one after the other; each frame is one of the package's."""
    model, turns, commit = CASES[case]
    sample = samples["en_flite_rms"]
    texts: list[str] = []
    events = []
    with live.openai.realtime.connect(model=model, extra_query=INTENT) as connection:
        connection.session.update(session=settings(turns))
        for audio in pieces(sample):
            connection.input_audio_buffer.append(audio=audio)
        if commit:
            connection.input_audio_buffer.commit()
        while len(texts) < len(expected(sample, commit=commit)):
            frame = connection.recv_bytes()
            events.append(check_frame(frame.decode()))
            event = connection.parse_event(frame)
            if len(events) == 1:
                assert isinstance(event, SessionCreatedEvent)
            if isinstance(event, ConversationItemInputAudioTranscriptionCompletedEvent):
                assert event.logprobs
                texts.append(event.transcript)

    assert texts == expected(sample, commit=commit)
    check_events(events)


@pytest.mark.parametrize("case", CASES)
async def test_asynchronous(live: LiveServer, samples: dict[str, Sample], case: str) -> None:
    """The same, iterated over while the audio is sent."""
    model, turns, commit = CASES[case]
    sample = samples["en_flite_rms"]
    texts: list[str] = []
    async with (
        AsyncOpenAI(base_url=f"{live.url}/v1", api_key="unused") as client,
        client.realtime.connect(model=model, extra_query=INTENT) as connection,
    ):
        await connection.session.update(session=settings(turns))
        for audio in pieces(sample):
            await connection.input_audio_buffer.append(audio=audio)
        if commit:
            await connection.input_audio_buffer.commit()
        async for event in connection:
            assert event.type != "error"
            if event.type == COMPLETED:
                assert isinstance(event, ConversationItemInputAudioTranscriptionCompletedEvent)
                texts.append(event.transcript)
            if len(texts) == len(expected(sample, commit=commit)):
                break

    assert texts == expected(sample, commit=commit)


def test_mistakes_are_errors_of_the_package(live: LiveServer) -> None:
    """A commit of nothing, and a response that transcription sessions cannot give."""
    with live.openai.realtime.connect(model="gpt-4o-transcribe", extra_query=INTENT) as connection:
        connection.recv()
        connection.input_audio_buffer.commit(event_id="mine")
        connection.response.create(event_id="too")
        errors: dict[str | None, str | None] = {}
        while len(errors) < 2:
            error = connection.recv()
            assert isinstance(error, RealtimeErrorEvent)
            errors[error.error.event_id] = error.error.code

    assert errors == {"mine": "input_audio_buffer_commit_empty", "too": "unsupported_value"}


def test_client_secrets(live: LiveServer, samples: dict[str, Sample]) -> None:
    """A server asks for a key with settings, a browser's client speaks with it; several times."""
    secret = live.openai.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 60}, session=settings({"type": "server_vad"})
    )
    client = OpenAI(base_url=f"{live.url}/v1", api_key=secret.value)
    for _ in range(2):
        with client, client.realtime.connect(model="whisper-1", extra_query=INTENT) as connection:
            created = connection.recv()
            assert isinstance(created, SessionCreatedEvent)
            for audio in pieces(samples["en_hello"]):
                connection.input_audio_buffer.append(audio=audio)
            while (event := connection.recv()).type != COMPLETED:
                pass

            assert isinstance(event, ConversationItemInputAudioTranscriptionCompletedEvent)
            assert event.transcript == "Hello world."
            assert event.logprobs  # the key's settings include them


NODE_CASES: dict[str, tuple[dict[str, str], dict[str, Any] | None, bool]] = {
    "the intent": ({"intent": "transcription"}, {"type": "server_vad"}, False),
    "semantic_vad": ({"model": "gpt-4o-transcribe"}, {"type": "semantic_vad", "eagerness": "high"}, False),
    "commit": ({"intent": "transcription"}, None, True),
    "continuous": ({"model": "gpt-realtime-whisper"}, None, True),
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key and a certificate for localhost."""
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.mark.skipif(
    shutil.which("openssl") is None,
    reason="openssl is not installed: Node's live client, which speaks TLS only, is not tested",
)
@pytest.mark.parametrize("case", NODE_CASES)
def test_node(
    node: Path, live: LiveServer, samples: dict[str, Sample], certificate: Path, tmp_path: Path, case: str
) -> None:
    """The Node client's WebSocket, with the model or with the intent alone."""
    connect, turns, commit = NODE_CASES[case]
    sample = samples["en_flite_rms"]
    file = tmp_path / "audio.pcm"
    file.write_bytes(speech(sample.path))
    texts = expected(sample, commit=commit)
    call = {
        "connect": connect,
        "session": settings(turns),
        "file": str(file),
        "commit": commit,
        "items": len(texts),
    }
    done = subprocess.run(
        ["node", "realtime.mjs", str(urlsplit(live.url).port), str(certificate), json.dumps(call)],
        cwd=node,
        env={**os.environ, "NODE_EXTRA_CA_CERTS": str(certificate / "cert.pem")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    events = [check_frame(json.dumps(event)) for event in answer["events"]]

    assert (answer["errors"], answer["code"]) == ([], 1000)
    assert [event["transcript"] for event in events if event["type"] == COMPLETED] == texts
    check_events(events)
