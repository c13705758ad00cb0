"""Clients that leave, engines that fail, servers that end: nobody hangs, nothing is left behind."""

import io
import signal
import socket
import subprocess
import sys
import wave
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from openai import APIError, OpenAI

from gateway.engine.whisper.engine import WhisperSpec
from tests.support import MODEL, Sample, live_server, served, until

if TYPE_CHECKING:
    import av


def _repeated(sample: Sample, times: int) -> bytes:
    """The recording several times over, as one WAV."""
    import av  # noqa: PLC0415

    with av.open(str(sample.path), "r") as container:
        pieces = [frame.to_ndarray() for frame in container.decode(audio=0)]
    samples = np.tile(np.concatenate(pieces, axis=1)[0], times)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()


def _in_container(audio: bytes, container: str, codec: str) -> bytes:
    import av  # noqa: PLC0415

    buffer = io.BytesIO()
    with av.open(io.BytesIO(audio), "r") as source, av.open(buffer, "w", format=container) as target:
        stream = cast("av.AudioStream", target.add_stream(codec, rate=48_000))
        stream.layout = "mono"
        for frame in source.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return buffer.getvalue()


def _request(url: str, audio: bytes, *, stream: bool, unsent: int = 0) -> socket.socket:
    """A connection that has sent a request but so many bytes of its end, and reads nothing yet."""
    request = httpx.Request(
        "POST",
        f"{url}/v1/audio/transcriptions",
        data={"model": "whisper-1", "stream": str(stream).lower()},
        files={"file": ("a.wav", audio)},
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    address = urlsplit(url)
    connection = socket.create_connection((address.hostname, address.port), timeout=120)
    body = request.read()
    connection.sendall(
        f"POST {request.url.path} HTTP/1.1\r\n{head}\r\n".encode() + body[: len(body) - unsent]
    )
    return connection


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.promise("a client that leaves frees what was decoded for it")
def test_a_client_that_leaves_frees_its_rows(
    mini_whisper: WhisperSpec, samples: dict[str, Sample], *, stream: bool
) -> None:
    """Behind a client that hangs up nothing more of its recording is decoded, and its place is free."""
    with live_server([mini_whisper]) as server:
        connection = _request(server.url, _repeated(samples["en_long"], 8), stream=stream)
        until(lambda: server.metric("gateway_decoded_rows_total"))
        connection.close()
        until(lambda: not (server.metric("gateway_open_streams") or server.metric("gateway_queue_rows")))
        decoded = server.metric("gateway_decoded_rows_total")
        answer = server.openai.audio.transcriptions.create(file=samples["en_hello"].path, model="whisper-1")

        assert answer.text == "Hello world."
        # The batch that was running when the client left was finished; no other was begun.
        assert server.metric("gateway_decoded_rows_total") <= decoded + 8 + 1
        assert decoded < 40


@pytest.mark.parametrize("container", [("wav", "pcm_s16le"), ("mp4", "aac"), ("ogg", "libopus")])
def test_a_dropped_recording_is_no_fault(samples: dict[str, Sample], container: tuple[str, str]) -> None:
    """However much of a long file came before its client left: the log has no traceback."""
    audio = _in_container(_repeated(samples["en_long"], 2), *container)
    with served() as server:
        for stream in (True, False):
            for unsent in (0, 500, len(audio) // 2):
                connection = _request(server.url, audio, stream=stream, unsent=unsent)
                until(lambda: server.metric("gateway_open_streams") or server.metric("gateway_audio_seconds"))
                connection.close()
                until(lambda: not server.metric("gateway_open_streams"))
        log = server.log.read_text()

    assert "Traceback" not in log
    assert "upload is closed" not in log


def test_more_than_the_server_takes(mini_whisper: WhisperSpec, samples: dict[str, Sample]) -> None:
    """Over the limit the answer is 429 with the seconds to wait, and no transcription suffers."""
    with live_server([mini_whisper], max_streams=1) as server:
        with _request(server.url, _repeated(samples["en_long"], 2), stream=True) as connection:
            until(lambda: server.metric("gateway_open_streams"))
            refused = server.post(model="whisper-1", file=("a.wav", b"x"))
            connection.recv(1)

        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1


def _serve(*flags: str) -> tuple["subprocess.Popen[str]", str]:
    """The real command in a process of its own; returns when it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve", "--port", "0", "--model", str(MODEL), *flags],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "running on" in line:
            url = line.split("running on ")[1].split()[0]
            break
    else:
        raise AssertionError("the server did not start")
    until(lambda: httpx.get(f"{url}/ready").status_code == 200)
    return process, url


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("busy", [False, True])
def test_signals_end_the_server(
    samples: dict[str, Sample], number: signal.Signals, monkeypatch: pytest.MonkeyPatch, *, busy: bool
) -> None:
    """Ctrl-C and SIGTERM: a running stream ends with an error event, no worker is left, the status is 0."""
    monkeypatch.setenv("GATEWAY_SHUTDOWN_GRACE", "0.2")
    process, url = _serve()
    workers = _children(process.pid)
    try:
        if busy:
            with OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
                stream = client.audio.transcriptions.create(
                    file=("a.wav", _repeated(samples["en_long"], 8)), model="whisper-1", stream=True
                )
                with stream:
                    first = next(iter(stream))
                    process.send_signal(number)
                    with pytest.raises(APIError, match="shutting down"):
                        list(stream)

            assert first.type == "transcript.text.delta"
        else:
            process.send_signal(number)
        assert process.wait(timeout=120) == 0
        assert workers
        assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("seconds", [1, 60])
@pytest.mark.promise("at SIGTERM uploads under way get the 503 envelope, without a traceback")
def test_uploads_under_way_are_refused_at_the_end(
    samples: dict[str, Sample], monkeypatch: pytest.MonkeyPatch, *, stream: bool, seconds: int
) -> None:
    """Whatever was sent of the file, the answer is the envelope, or the stream's error, and no traceback."""
    monkeypatch.setenv("GATEWAY_SHUTDOWN_GRACE", "0.2")
    process, url = _serve()
    audio = _repeated(samples["en_hello"], seconds)
    try:
        with _request(url, audio, stream=stream, unsent=500) as connection:
            until(lambda: "open_streams 1.0" in httpx.get(f"{url}/metrics").text)
            process.send_signal(signal.SIGTERM)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()

    assert b"shutting down" in answer
    assert answer.startswith(b"HTTP/1.1 503 ") or (stream and b"transcript.text.delta" in answer)
    assert "Traceback" not in errors
    assert process.returncode == 0


@pytest.mark.promise("a second signal ends the server and its workers, running requests are told")
def test_a_second_signal_ends_at_once(samples: dict[str, Sample], monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes before the grace is over: running requests still get their refusal."""
    monkeypatch.setenv("GATEWAY_SHUTDOWN_GRACE", "600")
    process, url = _serve()
    workers = _children(process.pid)
    try:
        with _request(url, _repeated(samples["en_long"], 8), stream=False, unsent=500) as connection:
            until(lambda: "open_streams 1.0" in httpx.get(f"{url}/metrics").text)
            process.send_signal(signal.SIGTERM)
            until(lambda: not _accepts(url))
            process.send_signal(signal.SIGTERM)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert "Traceback" not in errors
    assert process.returncode == 0
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def _accepts(url: str) -> bool:
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname, address.port), timeout=5).close()
    except OSError:
        return False
    return True
