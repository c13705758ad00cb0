"""The OpenAPI document is true: real answers have its shapes, and what it allows is answered as it says."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from jsonschema import Draft202012Validator

from tests.scripted import Act, ScriptedSpec
from tests.support import WAIT_SECONDS, LiveServer, Sample, live_server, until

UPLOADS = "/v1/audio/transcriptions"


class Document:
    """A running server's document, strict: what it does not mention is wrong."""

    def __init__(self, url: str) -> None:
        self._document = closed(httpx.get(f"{url}/openapi.json").json())

    def check(self, response: httpx.Response, path: str) -> None:
        """Fails unless the document foretells this answer: status, headers, media type, every key."""
        operation = self._document["paths"][path][response.request.method.lower()]
        documented = self._resolve(operation["responses"][str(response.status_code)])
        for name, reference in documented["headers"].items():
            header = self._resolve(reference)
            assert name in response.headers or not header.get("required"), name
            if name in response.headers:
                self._validate(typed(response.headers[name], header["schema"]), header["schema"])
        schema = documented["content"][response.headers["content-type"].partition(";")[0]]["schema"]
        if "contentSchema" in schema:
            self._validate(events(response.text), schema["contentSchema"])
        else:
            is_json = response.headers["content-type"].startswith("application/json")
            self._validate(response.json() if is_json else response.text, schema)

    def _resolve(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" not in node:
            return node
        name, kind = node["$ref"].rpartition("/")[2], node["$ref"].split("/")[2]
        found: Mapping[str, Any] = self._document["components"][kind][name]
        return found

    def _validate(self, value: Any, schema: Mapping[str, Any]) -> None:
        Draft202012Validator({**schema, "components": self._document["components"]}).validate(value)


def closed(node: Any) -> Any:
    """Schemas for tests: objects hold nothing but their properties."""
    if isinstance(node, list):
        return [closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: closed(value) for key, value in node.items()}
    if made.get("type") == "object" and "properties" in made:
        made["additionalProperties"] = False
    return made


def typed(header: str, schema: Mapping[str, Any]) -> Any:
    """A header's text as the type it stands for."""
    return int(header) if schema["type"] == "integer" else header


def events(stream: str) -> list[Any]:
    """The data lines of an event stream, the last one as it is."""
    lines = [line.removeprefix("data: ") for line in stream.split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def document(server: LiveServer) -> Document:
    """The shared server's document."""
    return Document(server.url)


MODELS = ("gpt-4o-transcribe", "openai/whisper-1", "openai/gpt-4o-transcribe", "mini-whisper")
SHAPES: tuple[dict[str, Any], ...] = (
    {},
    {"include[]": "logprobs"},
    {"response_format": "text"},
    {"response_format": "srt"},
    {"response_format": "vtt"},
    {"response_format": "verbose_json"},
    {"response_format": "verbose_json", "timestamp_granularities[]": ["word"]},
    {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]},
)


@pytest.mark.slow
@pytest.mark.parametrize("recording", ["en_hello", "silence_noise"])
@pytest.mark.parametrize("stream", ["false", "true"])
def test_real_answers(
    server: LiveServer, document: Document, samples: dict[str, Sample], stream: str, recording: str
) -> None:
    """Transcripts of speech and of silence, for every kind of model name, in every format."""
    audio = samples[recording].path.read_bytes()
    for model, shape in [("whisper-1", shape) for shape in SHAPES] + [(model, {}) for model in MODELS]:
        if stream == "true" and shape.get("response_format") in {"srt", "vtt"}:
            continue
        response = server.post(model=model, stream=stream, file=("a.flac", audio), **shape)

        assert response.status_code == 200
        document.check(response, UPLOADS)


SESSIONS: tuple[dict[str, Any], ...] = (
    {},
    {"transcription": None},
    {"transcription": {"model": "gpt-live-transcribe", "language": "de", "prompt": "x", "delay": "low"}},
    {"transcription": {"model": "whisper-1", "languages": ["de", "en"], "keywords": ["x"]}},
    {"format": {"type": "audio/pcmu"}, "noise_reduction": {"type": "near_field"}},
    {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}},
    {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5_000}},
)


@pytest.mark.parametrize("given", SESSIONS)
def test_ephemeral_keys(server: LiveServer, document: Document, given: dict[str, Any]) -> None:
    """Both endpoints, with settings of every kind."""
    include = ["item.input_audio_transcription.logprobs"]
    bodies: dict[str, dict[str, Any]] = {
        "/v1/realtime/client_secrets": {"session": {"audio": {"input": given}, "include": include}},
        "/v1/realtime/transcription_sessions": {"audio": {"input": given}, "include": include},
    }
    for path, body in bodies.items():
        response = httpx.post(server.url + path, json=body)

        assert response.status_code == 200
        document.check(response, path)
        refused = httpx.post(server.url + path, content=b"?")

        assert refused.status_code == 400
        document.check(refused, path)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/health",
        "/ready",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/v1/models",
        "/v1/models/whisper-1",
    ],
)
def test_plain_pages(server: LiveServer, document: Document, path: str) -> None:
    """What is read with GET, and the page's files."""
    document.check(httpx.get(server.url + path), re.sub("(?<=/v1/models/).+", "{model}", path))


@pytest.mark.parametrize("name", ["base.css", "docs.js", "icon.svg", "nothing.js"])
def test_files_of_the_page(server: LiveServer, document: Document, name: str) -> None:
    """The page's files, and one that it has not."""
    document.check(httpx.get(f"{server.url}/docs/{name}"), "/docs/{asset}")


@pytest.fixture(scope="module")
def strict_server() -> Iterator[LiveServer]:
    """A server that refuses for every reason there is."""
    with live_server(
        [ScriptedSpec(), ScriptedSpec(name="broken", fault=Act.RAISE)],
        unpinned=["broken"],
        api_keys=("secret",),
        max_upload_bytes=1_000,
        max_streams=1,
    ) as running:
        yield running


@pytest.mark.parametrize(
    ("status", "fields", "key"),
    [
        (400, {"model": "scripted", "file": ("a.wav", b"no audio")}, "secret"),
        (401, {"model": "scripted", "file": ("a.wav", b"")}, "wrong"),
        (404, {"model": "nope", "file": ("a.wav", b"")}, "secret"),
        (413, {"model": "scripted", "file": ("a.wav", bytes(2_000))}, "secret"),
        (503, {"model": "broken", "file": ("a.wav", b"")}, "secret"),
    ],
)
def test_refusals(strict_server: LiveServer, status: int, fields: dict[str, Any], key: str) -> None:
    """Every status that a form can get, with the headers that belong to it."""
    form = dict(fields)
    files = {"file": form.pop("file")}
    headers = {"authorization": f"Bearer {key}"}
    response = httpx.post(strict_server.url + UPLOADS, data=form, files=files, headers=headers)

    assert response.status_code == status
    Document(strict_server.url).check(response, UPLOADS)


def _hanging(server: LiveServer) -> socket.socket:
    """A client that begins an upload and then sends nothing."""
    head = (
        f"POST {UPLOADS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nContent-Length: 9\r\n"
        "Connection: close\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n--b"
    )
    parts = urlsplit(server.url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=WAIT_SECONDS)
    connection.sendall(head.encode())
    return connection


def test_refusals_of_a_busy_server() -> None:
    """While one client holds the only place and sends nothing, another gets 429."""
    with live_server([ScriptedSpec()], max_streams=1, upload_timeout=WAIT_SECONDS) as server:
        with _hanging(server):
            until(lambda: _upload_nothing(server).status_code == 429)
            busy = _upload_nothing(server)

        assert busy.status_code == 429
        assert int(busy.headers["retry-after"]) >= 1
        Document(server.url).check(busy, UPLOADS)


def test_refusals_of_a_client_that_stops() -> None:
    """Who sends nothing for too long gets 408."""
    with live_server([ScriptedSpec()], upload_timeout=0.1) as server, _hanging(server) as connection:
        slow = b"".join(iter(lambda: connection.recv(65536), b""))

    assert slow.split()[1] == b"408"


def _upload_nothing(server: LiveServer) -> httpx.Response:
    return httpx.post(server.url + UPLOADS, files={"file": b""}, headers={"authorization": "Bearer secret"})


@pytest.mark.slow
def test_whatever_the_document_allows(tmp_path: Path) -> None:
    """600 generated requests, right and wrong: no 5xx, no hang, each answer as the document foretells."""
    # A generated file is no recording, and unknown fields are ignored: both are as they should be.
    excluded = "positive_data_acceptance,negative_data_rejection"
    with live_server([ScriptedSpec()], api_keys=("secret",)) as server:
        run = subprocess.run(
            [
                *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
                *("run", f"{server.url}/openapi.json", "-H", "Authorization: Bearer secret"),
                *("--phases", "examples,coverage,fuzzing", "--max-examples", "25"),
                *("--exclude-checks", excluded, "--request-timeout", "20", "--generation-deterministic"),
                *("--continue-on-failure", "--no-color"),
            ],
            cwd=tmp_path,  # it leaves a folder of its own
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    assert run.returncode == 0, run.stdout[-10_000:] + run.stderr[-2_000:]
