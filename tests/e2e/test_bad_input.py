"""Whatever a client sends: a 4xx that names the parameter, never a 500, and the next request is served."""

import io
import json
import socket
import wave
from functools import cache
from typing import Any, cast
from urllib.parse import urlsplit

import av
import httpx
import numpy as np
import pytest

from gateway.engine.whisper.engine import WhisperSpec
from tests.support import WAIT_SECONDS, LiveServer, Sample, live_server


def wav(seconds: float, rate: int = 16_000) -> bytes:
    """Silence."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"\0\0" * int(seconds * rate))
    return buffer.getvalue()


def encoded(seconds: float, container: str, codec: str, rate: int = 48_000, **options: str) -> bytes:
    """A quiet tone in any container."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = cast("av.AudioStream", output.add_stream(codec, rate=rate, options=options))
        stream.bit_rate = 8_000
        stream.layout = "mono"
        for _ in range(int(seconds)):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, rate), np.int16), format="s16", layout="mono")
            frame.rate = rate
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


TRUNCATED_MP4 = encoded(5, "mp4", "aac")[:-600]

BAD: dict[str, tuple[dict[str, Any], int, str]] = {
    "empty file": ({"model": "whisper-1", "file": ("a.wav", b"")}, 400, "file"),
    "text named mp3": ({"model": "whisper-1", "file": ("a.mp3", b"Not a song. " * 500)}, 400, "file"),
    "truncated mp4": ({"model": "whisper-1", "file": ("a.mp4", TRUNCATED_MP4)}, 400, "file"),
    "zero-length audio": ({"model": "whisper-1", "file": ("a.wav", wav(0))}, 400, "file"),
    "0.05 s of audio": ({"model": "whisper-1", "file": ("a.wav", wav(0.05))}, 400, "file"),
    "no file": ({"model": "whisper-1"}, 400, "file"),
    "no model": ({"file": ("a.wav", wav(1))}, 400, "model"),
    "unknown model": ({"model": "nope", "file": ("a.wav", wav(1))}, 404, "model"),
    "bad JSON": (
        {"model": "whisper-1", "file": ("a.wav", wav(1)), "chunking_strategy": "{bad"},
        400,
        "chunking_strategy",
    ),
    "threshold 7": (
        {
            "model": "whisper-1",
            "file": ("a.wav", wav(1)),
            "chunking_strategy": '{"type": "server_vad", "threshold": 7}',
        },
        400,
        "chunking_strategy.threshold",
    ),
    "unknown format": (
        {"model": "whisper-1", "file": ("a.wav", wav(1)), "response_format": "docx"},
        400,
        "response_format",
    ),
    "temperature hot": (
        {"model": "whisper-1", "file": ("a.wav", wav(1)), "temperature": "hot"},
        400,
        "temperature",
    ),
    "unknown language": (
        {"model": "whisper-1", "file": ("a.wav", wav(1)), "language": "klingon"},
        400,
        "language",
    ),
    "no such track": ({"model": "whisper-1", "file": ("a.wav", wav(1)), "track": "2"}, 400, "track"),
    "track 0": ({"model": "whisper-1", "file": ("a.wav", wav(1)), "track": "0"}, 400, "track"),
    "track by name": ({"model": "whisper-1", "file": ("a.wav", wav(1)), "track": "english"}, 400, "track"),
    "over the limit": ({"model": "whisper-1", "file": ("a.wav", bytes(25 * 1024 * 1024 + 1))}, 413, "file"),
}


@pytest.mark.parametrize("stream", ["false", "true"])
@pytest.mark.parametrize("case", BAD)
def test_refusals(server: LiveServer, samples: dict[str, Sample], case: str, stream: str) -> None:
    """Each mistake has its status and parameter, streamed or not, and the next client is served."""
    fields, status, param = BAD[case]
    response = server.post(**fields, stream=stream)
    error = response.json()["error"]

    assert (response.status_code, error["param"]) == (status, param)
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert response.headers["x-request-id"]
    assert int(response.headers["openai-processing-ms"]) >= 0
    _assert_serving(server, samples)


def test_no_file(server: LiveServer) -> None:
    """A form without a file is told so, not that the file is no audio."""
    response = server.post(model="whisper-1")

    assert response.json()["error"]["message"] == "Missing required parameter: 'file'."
    assert response.json()["error"]["code"] == "missing_required_parameter"


def test_json_body(server: LiveServer) -> None:
    """A JSON body is told what to be instead."""
    response = httpx.post(f"{server.url}/v1/audio/transcriptions", json={"model": "whisper-1"})

    assert response.status_code == 400
    assert "multipart/form-data" in response.json()["error"]["message"]


@pytest.mark.parametrize("stream", ["false", "true"])
def test_hours_of_silence_in_a_small_file(
    server: LiveServer, samples: dict[str, Sample], stream: str
) -> None:
    """More than four hours of silence in a few megabytes of Opus are refused with a 400, streamed or not."""
    bomb = _four_hours()
    response = server.post(model="whisper-1", file=("a.ogg", bomb), stream=stream)

    assert len(bomb) < 10_000_000
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "file"
    assert "14400" in response.json()["error"]["message"]
    _assert_serving(server, samples)


@cache
def _four_hours() -> bytes:
    """Made by muxing the packets of twelve seconds again and again."""
    source = io.BytesIO(encoded(12, "ogg", "libopus", frame_duration="120"))
    buffer = io.BytesIO()
    tape = av.open(source, "r")
    with tape, av.open(buffer, "w", format="ogg") as output:
        stream = output.add_stream_from_template(tape.streams.audio[0])
        packets = [packet for packet in tape.demux(audio=0) if packet.size]
        at = 0
        for _ in range(4 * 300 + 10):
            for packet in packets:
                duration = packet.duration or 960
                copy = av.Packet(bytes(packet))
                copy.stream, copy.time_base, copy.duration = stream, packet.time_base, duration
                copy.pts = copy.dts = at
                at += duration
                output.mux(copy)
    return buffer.getvalue()


def test_decoded_length_is_what_counts(mini_whisper: WhisperSpec, samples: dict[str, Sample]) -> None:
    """A file whose packets say nothing of their length is refused when it was decoded that far."""
    audio = wav(400)
    with live_server([mini_whisper], max_audio_seconds=300.0) as server:
        response = server.post(model="whisper-1", file=("a.wav", audio))

        assert response.status_code == 400
        assert "300" in response.json()["error"]["message"]
        _assert_serving(server, samples)


@pytest.mark.parametrize("ending", ["cut", "silent"])
def test_a_body_that_stops_half_way(
    mini_whisper: WhisperSpec, samples: dict[str, Sample], ending: str
) -> None:
    """A form without its end is a 400; a client that just stops sending is a 408. Both name the file."""
    body = (
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + wav(1)[:1000]
    )
    announced = len(body) + (0 if ending == "cut" else 1000)
    head = (
        "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n"
        f"Content-Length: {announced}\r\nConnection: close\r\n\r\n"
    )
    # Nobody's upload but that of the client that stops is to be late.
    with live_server([mini_whisper], upload_timeout=WAIT_SECONDS if ending == "cut" else 0.1) as server:
        address = urlsplit(server.url)
        with socket.create_connection((address.hostname, address.port), timeout=120) as connection:
            connection.sendall(head.encode() + body)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        status, _, rest = answer.partition(b"\r\n")
        error = json.loads(rest.partition(b"\r\n\r\n")[2])["error"]

        assert status.split()[1] == (b"400" if ending == "cut" else b"408")
        assert error["param"] == "file"
        if ending == "cut":
            _assert_serving(server, samples)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("GET", "/v1/audio/transcriptions", 405), ("POST", "/v1/models", 405)],
)
def test_wrong_paths_and_methods(server: LiveServer, method: str, path: str, status: int) -> None:
    """They get the same envelope as everything else."""
    response = httpx.request(method, server.url + path)

    assert response.status_code == status
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


def test_keys(mini_whisper: WhisperSpec, samples: dict[str, Sample]) -> None:
    """With keys configured, nobody without one is served, and health stays open."""
    with live_server([mini_whisper], api_keys=("secret",)) as server:
        refused = server.post(model="whisper-1", file=("a.wav", wav(1)))
        right = server.openai.with_options(api_key="secret")

        assert refused.status_code == 401
        assert refused.json()["error"]["code"] == "invalid_api_key"
        assert httpx.get(f"{server.url}/health").status_code == 200
        assert (
            right.audio.transcriptions.create(file=samples["en_hello"].path, model="whisper-1").text
            == "Hello world."
        )


def _assert_serving(server: LiveServer, samples: dict[str, Sample]) -> None:
    answer = server.post(model="whisper-1", file=("a.flac", samples["en_hello"].path.read_bytes()))

    assert answer.json()["text"] == "Hello world."
