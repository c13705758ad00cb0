"""Decoding begins with the file's first bytes, whatever order the fields come in; the answer is the same."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import numpy as np
import pytest

from gateway.engine.whisper.engine import WhisperSpec
from gateway.server.upload import EarlyRequest
from tests.audio.sound import int16, load, wav
from tests.support import WAIT_SECONDS, LiveServer, Sample, live_server

BOUNDARY = "overlap"


def _field(name: str, value: str) -> bytes:
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def _file(audio: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    return head.encode() + audio + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def _connect(server: LiveServer) -> http.client.HTTPConnection:
    address = urlsplit(server.url)
    return http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)


def _begin(server: LiveServer, length: int) -> http.client.HTTPConnection:
    connection = _connect(server)
    connection.putrequest("POST", "/v1/audio/transcriptions")
    connection.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
    connection.putheader("Content-Length", str(length))
    connection.endheaders()
    return connection


def _post(server: LiveServer, body: bytes) -> tuple[int, str]:
    with closing(_begin(server, len(body))) as connection:
        connection.send(body)
        response = connection.getresponse()
        return response.status, response.read().decode()


@contextmanager
def _open_stream(
    server: LiveServer, beginning: bytes, length: int
) -> Iterator[tuple[http.client.HTTPConnection, http.client.HTTPResponse]]:
    """A connection whose answer is read although its request is not sent to the end."""
    with closing(_begin(server, length)) as connection:
        connection.send(beginning)
        response = connection.response_class(connection.sock, method="POST")
        with closing(response):
            response.begin()
            yield connection, response


def _events(lines: Iterator[bytes]) -> Iterator[str]:
    return (line.decode().removeprefix("data: ").strip() for line in lines if line.startswith(b"data: "))


def test_words_come_before_the_file_is_sent(server: LiveServer, samples: dict[str, Sample]) -> None:
    """A client that reads while it writes has its first words with a third of the file sent."""
    audio = samples["en_long"].path.read_bytes()
    body = _field("model", "whisper-1") + _field("stream", "true") + _file(audio) + END
    third = len(body) // 3
    with _open_stream(server, body[:third], len(body)) as (connection, response):
        first = json.loads(next(_events(iter(response.readline, b""))))
        connection.send(body[third:])
        rest = list(_events(iter(response.readline, b"")))

    assert first["type"] == "transcript.text.delta"
    assert rest[-1] == "[DONE]"
    assert json.loads(rest[-2])["text"] == samples["en_long"].text


FIELDS = {"model": "whisper-1", "language": "de", "response_format": "verbose_json"}


@pytest.mark.parametrize("before", [(), ("model",), ("model", "language"), tuple(FIELDS)])
def test_fields_may_come_behind_the_file(
    server: LiveServer, samples: dict[str, Sample], before: tuple[str, ...]
) -> None:
    """Wherever the file stands among the fields, all of them count."""
    body = b"".join(_field(name, FIELDS[name]) for name in before)
    body += _file(samples["de_zahlen"].path.read_bytes())
    body += b"".join(_field(name, value) for name, value in FIELDS.items() if name not in before) + END
    status, answer = _post(server, body)

    assert status == 200
    assert json.loads(answer)["text"] == samples["de_zahlen"].text
    assert json.loads(answer)["language"] == "german"


@pytest.mark.parametrize("before", [(), ("model",), ("model", "stream")])
def test_streams_of_any_order(
    server: LiveServer, samples: dict[str, Sample], before: tuple[str, ...]
) -> None:
    """The wish to stream may come behind the file, too."""
    fields = {"model": "whisper-1", "stream": "true"}
    body = b"".join(_field(name, fields[name]) for name in before)
    body += _file(samples["en_hello"].path.read_bytes())
    body += b"".join(_field(name, value) for name, value in fields.items() if name not in before) + END
    status, answer = _post(server, body)

    assert status == 200
    assert answer.endswith("data: [DONE]\n\n")
    assert "Hello world." in answer


def test_a_stream_that_begins_again(server: LiveServer, samples: dict[str, Sample]) -> None:
    """A field behind a long file, which is still being decoded, has all of it decoded as that field says."""
    body = _field("model", "whisper-1") + _field("stream", "true")
    body += _file(samples["en_long"].path.read_bytes())
    status, answer = _post(server, body + _field("prompt", "Hello.") + _field("language", "en") + END)
    deltas = [
        json.loads(data) for data in _events(iter(answer.encode().splitlines(keepends=True))) if "{" in data
    ]

    assert status == 200
    assert answer.endswith("data: [DONE]\n\n")
    assert "".join(event["delta"] for event in deltas[:-1]) == deltas[-1]["text"]
    assert deltas[-1]["usage"]["input_token_details"]["text_tokens"] > 0


def test_a_field_that_comes_too_late(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Where words are out already, a field that would change them ends the stream with an error."""
    audio = samples["en_long"].path.read_bytes()
    head = _field("model", "whisper-1") + _field("stream", "true") + _file(audio)
    tail = _field("language", "de") + END
    with _open_stream(server, head, len(head) + len(tail)) as (connection, response):
        first = next(_events(iter(response.readline, b"")))
        connection.send(tail)
        rest = list(_events(iter(response.readline, b"")))

    assert json.loads(first)["type"] == "transcript.text.delta"
    assert "behind the file" in json.loads(rest[-1])["error"]["message"]


def test_what_follows_a_file_may_allow_what_was_to_be_refused(
    server: LiveServer, samples: dict[str, Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a minute without a chunking strategy is over before the field comes that names one."""
    refusing = threading.Event()
    confirm = EarlyRequest.confirm

    async def observed(self: EarlyRequest) -> None:
        refusing.set()
        await confirm(self)

    monkeypatch.setattr(EarlyRequest, "confirm", observed)
    head = _field("model", "gpt-4o-transcribe-diarize") + _file(samples["en_long"].path.read_bytes())
    tail = _field("chunking_strategy", "auto") + END
    with closing(_begin(server, len(head) + len(tail))) as connection:
        connection.send(head)
        assert refusing.wait(WAIT_SECONDS)
        connection.send(tail)
        response = connection.getresponse()
        answer = json.load(response)

    assert response.status == 200, answer
    assert answer["text"] == samples["en_long"].text


@pytest.mark.parametrize("stream", ["true", "false"])
def test_a_broken_form_behind_a_whole_file(
    server: LiveServer, samples: dict[str, Sample], stream: str
) -> None:
    """A form without its end is refused although its recording was heard to the end."""
    body = _field("model", "whisper-1") + _field("stream", stream)
    body += _file(samples["en_hello"].path.read_bytes())
    status, answer = _post(server, body)

    if status == 200:
        assert stream == "true"
    else:
        assert status == 400
    assert "ended before" in answer
    assert "[DONE]" not in answer


def test_a_failure_behind_the_first_delta(mini_whisper: WhisperSpec, samples: dict[str, Sample]) -> None:
    """A recording that turns out too long in mid-stream: an error event behind the words, and no done."""
    audio = wav(np.tile(int16(load(samples["en_long"].path)), 2))
    body = _field("model", "whisper-1") + _field("stream", "true") + _file(audio) + END
    with live_server([mini_whisper], max_audio_seconds=100.0) as server:
        third = len(body) // 3
        with _open_stream(server, body[:third], len(body)) as (connection, response):
            first = json.loads(next(_events(iter(response.readline, b""))))
            connection.send(body[third:])
            rest = [json.loads(event) for event in _events(iter(response.readline, b""))]

    assert (response.status, first["type"]) == (200, "transcript.text.delta")
    assert set(rest[-1]["error"]) == {"message", "type", "param", "code"}
    assert rest[-1]["error"]["param"] == "file"
    assert not any(event.get("type") == "transcript.text.done" for event in rest)
