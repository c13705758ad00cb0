"""Clients that run inside something larger, by the requests that they were seen to send."""

import base64
import json

import httpx
import pytest
from websockets.sync.client import connect

from gateway.engine.whisper.engine import WhisperSpec
from tests.audio.sound import Encoding, encode, load
from tests.e2e.speaker import WAIT_SECONDS, speech
from tests.support import LiveServer, Sample, live_server

pytestmark = pytest.mark.slow

TEXT = "Hello world."
OBSIDIAN = "app://obsidian.md"
EMPTY = "input_audio_buffer_commit_empty"


@pytest.mark.client("", "Home Assistant openai_stt", "file, by the shape of its request")
def test_home_assistant_file(server: LiveServer, samples: dict[str, Sample]) -> None:
    """The file first, an empty prompt, temperature 0."""
    wav = encode(load(samples["en_hello"].path), Encoding("wav", "pcm_s16le", 16_000))
    answer = httpx.post(
        f"{server.url}/v1/audio/transcriptions",
        headers={"Authorization": "Bearer unused"},
        files={
            "file": ("whisper_audio.wav", wav, "audio/wav"),
            "model": (None, "gpt-4o-mini-transcribe"),
            "language": (None, "en"),
            "prompt": (None, ""),
            "temperature": (None, "0"),
            "response_format": (None, "json"),
        },
        timeout=WAIT_SECONDS,
    )

    assert answer.raise_for_status().json()["text"] == TEXT


@pytest.mark.client("", "Home Assistant openai_stt", "live, by the shape of its frames")
def test_home_assistant_live(server: LiveServer, samples: dict[str, Sample]) -> None:
    """The beta's header and flat fields, a commit at the end; the first `completed` is its answer."""
    url = f"{server.url.replace('http', 'ws', 1)}/v1/realtime?intent=transcription"
    headers = {"Authorization": "Bearer unused", "OpenAI-Beta": "realtime=v1"}
    settings = {
        "input_audio_format": "pcm16",
        "input_audio_transcription": {"model": "gpt-4o-mini-transcribe", "prompt": "", "language": "en"},
        "turn_detection": {"type": "server_vad"},
        "input_audio_noise_reduction": None,
    }
    with connect(url, additional_headers=headers, open_timeout=WAIT_SECONDS) as socket:
        socket.send(json.dumps({"type": "transcription_session.update", "session": settings}))
        sound = speech(samples["en_hello"].path, silence=0)
        for at in range(0, len(sound), 2_048):
            audio = base64.b64encode(sound[at : at + 2_048]).decode()
            socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        socket.send(json.dumps({"type": "input_audio_buffer.commit"}))
        while (event := json.loads(socket.recv(WAIT_SECONDS)))["type"] != (
            "conversation.item.input_audio_transcription.completed"
        ):
            # It reads no errors: a turn that silence has ended leaves nothing to commit.
            assert event.get("error", {"code": EMPTY})["code"] == EMPTY, event

    assert event["transcript"] == TEXT


@pytest.mark.client("", "Obsidian Whisper plugin", "preflight and request, by their shapes")
def test_obsidian(quick_whisper: WhisperSpec, samples: dict[str, Sample]) -> None:
    """Electron's origin, the key in a header, so that the browser asks first."""
    with live_server([quick_whisper], allowed_origins=(OBSIDIAN,)) as server:
        url = f"{server.url}/v1/audio/transcriptions"
        asked = httpx.options(
            url,
            headers={
                "Origin": OBSIDIAN,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization",
            },
        )
        answer = httpx.post(
            url,
            headers={"Origin": OBSIDIAN, "Authorization": "Bearer unused"},
            files={"file": ("recording.flac", samples["en_hello"].path.read_bytes(), "audio/flac")},
            data={"model": "whisper-1", "language": "en"},
            timeout=WAIT_SECONDS,
        )

    assert asked.is_success
    assert asked.headers["access-control-allow-origin"] == OBSIDIAN
    assert "authorization" in asked.headers["access-control-allow-headers"].lower()
    assert answer.raise_for_status().json()["text"] == TEXT
    assert answer.headers["access-control-allow-origin"] == OBSIDIAN
