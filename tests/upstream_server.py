"""An HTTP server that answers as published OpenAI-compatible servers do, from shapes that these gave.

It transcribes nothing: what a recording says is the server's ``text``. Each dialect has the fields, the types
and the refusals of its model: OpenAI's ``whisper-1`` and ``gpt-4o-transcribe``, vLLM's Whisper, and
whisper.cpp's server.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import anyio
import anyio.to_thread
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support import until

TEXT = "The quick brown fox jumps over the lazy dog. It never looks back."


@dataclass(frozen=True)
class Asked:
    """A request.

    Attributes:
        fields: Of the form, beside the file.
        seconds: Of the WAV file.
        client: Port of the connection.
    """

    path: str
    fields: dict[str, list[str]]
    seconds: float
    key: str | None
    client: int


Reply: TypeAlias = tuple[int, Any, dict[str, str]]
"""Status, body and headers; bytes are sent as they are, all else as JSON."""

Dialect: TypeAlias = Callable[["Asked", str], Reply]


def refuse(status: int, message: str, **rest: Any) -> Reply:
    """An error in OpenAI's envelope."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None, **rest}
    return status, {"error": error}, {}


def whisper_1(asked: Asked, text: str) -> Reply:
    """OpenAI's: words without marks, segments with Whisper's figures, the language by its English name."""
    words, segments = _spread(text, asked.seconds)
    if asked.fields["response_format"] != ["verbose_json"]:
        return 200, {"text": text, "usage": {"type": "duration", "seconds": round(asked.seconds)}}, {}
    body = {
        "task": "translate" if asked.path.endswith("translations") else "transcribe",
        "language": "english",
        "duration": round(asked.seconds, 2),
        "text": text,
        "segments": segments,
        "usage": {"type": "duration", "seconds": round(asked.seconds)},
    }
    if "word" in asked.fields.get("timestamp_granularities[]", ()):
        body["words"] = words
    return 200, body, {}


def gpt_4o(asked: Asked, text: str) -> Reply:
    """OpenAI's: no times, no language, log-probabilities of tokens with their bytes."""
    model = asked.fields["model"][0]
    if asked.path.endswith("translations"):
        return refuse(400, f"The model `{model}` does not support this endpoint.", param="model")
    if (form := asked.fields["response_format"][0]) not in {"json", "text"}:
        message = (
            f"response_format '{form}' is not compatible with model '{model}-api-ev3'. "
            "Use 'json' or 'text' instead."
        )
        return refuse(400, message, param="response_format", code="unsupported_value")
    usage = {"type": "tokens", "input_tokens": 9, "output_tokens": 9, "total_tokens": 18}
    body: dict[str, Any] = {"text": text, "usage": usage}
    if asked.fields.get("include[]") == ["logprobs"]:
        pieces = [text[at : at + 3] for at in range(0, len(text), 3)]
        body["logprobs"] = [
            {"token": piece, "logprob": -0.125, "bytes": list(piece.encode())} for piece in pieces
        ]
    return 200, body, {}


def whisper_cpp(asked: Asked, text: str) -> Reply:
    """whisper.cpp's: words stand in the segments, lines are broken between these."""
    words, segments = _spread(text, asked.seconds)
    if asked.fields["response_format"] != ["verbose_json"]:
        return 200, {"text": "".join(f"{segment['text']}\n" for segment in segments)}, {}
    for segment in segments:
        segment["words"] = [
            {**word, "word": f" {word['word']}", "t_dtw": -1, "probability": 0.5}
            for word in words
            if segment["start"] <= word["start"] < segment["end"]
        ]
    body = {"task": "transcribe", "language": "english", "duration": asked.seconds, "segments": segments}
    return 200, body | {"text": "".join(f"{segment['text']}\n" for segment in segments)}, {}


def vllm(asked: Asked, text: str) -> Reply:
    """VLLM's Whisper: the duration is a text, nobody says how probable silence is, words are never there."""
    if asked.fields["response_format"] != ["verbose_json"]:
        return 200, {"text": f" {text}", "usage": {"type": "duration", "seconds": round(asked.seconds)}}, {}
    _, segments = _spread(text, asked.seconds)
    for segment in segments:
        segment["no_speech_prob"] = None
    body = {"duration": f"{asked.seconds}", "language": "en", "text": f" {text}", "segments": segments}
    return 200, body | {"words": None}, {}


def vllm_llm(asked: Asked, text: str) -> Reply:
    """VLLM with a model that writes no timestamps, as Voxtral; its errors have a number as code."""
    if asked.fields["response_format"] == ["verbose_json"]:
        message = f"Currently do not support verbose_json for {asked.fields['model'][0]}"
        return refuse(400, message, type="BadRequestError", code=400)
    return 200, {"text": text, "usage": {"type": "duration", "seconds": round(asked.seconds)}}, {}


def _spread(text: str, seconds: float) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Words and segments of the text, evenly over the recording."""
    spoken = text.split()
    step = seconds / max(1, len(spoken))
    words = [
        {"word": word.strip(".,"), "start": round(at * step, 2), "end": round((at + 1) * step, 2)}
        for at, word in enumerate(spoken)
    ]
    segments: list[dict[str, Any]] = []
    begin = 0
    for at, word in enumerate(spoken, 1):
        if word.endswith(".") or at == len(spoken):
            own = " ".join(spoken[begin:at])
            segments.append(
                {
                    "id": len(segments),
                    "seek": 0,
                    "start": round(begin * step, 2),
                    "end": round(at * step, 2),
                    "text": f" {own}",
                    "tokens": [50364, 1374],
                    "temperature": 0.0,
                    "avg_logprob": -0.25,
                    "compression_ratio": 1.1,
                    "no_speech_prob": 0.01,
                }
            )
            begin = at
    return words, segments


@dataclass
class UpstreamServer:
    """The running server.

    Attributes:
        text: What every recording says.
        models: The ids of `/v1/models`.
        key: The one that lets in; None: whoever comes.
        faults: Given in place of the next answers to recordings, the first one first; ``None`` breaks off.
        asked: Every request for recordings.
        gate: Answers wait for it.
    """

    dialect: Dialect
    text: str = TEXT
    models: tuple[str, ...] = ("model",)
    key: str | None = None
    faults: deque[Reply | None] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    end: Callable[[], None] = field(default=lambda: None)
    """Ends it before its context does."""
    on_asked: Callable[[], object] = field(default=lambda: None)
    """Called with each request for a recording, in the server's thread."""

    @property
    def url(self) -> str:
        """Its base."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def list_models(self, request: Request) -> Response:
        """The models, where the key is right."""
        if self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
            return JSONResponse({"error": {"message": "Incorrect API key provided"}}, 401)
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "openai"} for name in self.models]
        return JSONResponse({"object": "list", "data": data})

    async def transcribe(self, request: Request) -> Response:
        """A recording's answer, or the next fault."""
        key = request.headers.get("authorization")
        async with request.form() as form:
            fields: dict[str, list[str]] = {}
            for name, value in form.multi_items():
                if isinstance(value, str):
                    fields.setdefault(name, []).append(value)
            file = form["file"]
            assert not isinstance(file, str)
            assert file.filename == "chunk.wav"
            seconds = (len(await file.read()) - 44) / 32000
        assert request.client is not None
        asked = Asked(request.url.path, fields, seconds, key, request.client.port)
        self.asked.append(asked)
        self.on_asked()
        if self.key is not None and key != f"Bearer {self.key}":
            told = f"Incorrect API key provided: {key}. You can find your API key at your account page."
            return JSONResponse(*refuse(401, told, code="invalid_api_key")[1::-1])
        await anyio.to_thread.run_sync(self.gate.wait, abandon_on_cancel=True)
        reply = self.faults.popleft() if self.faults else self.dialect(asked, self.text)
        if reply is None:
            return _BreakOff()
        status, body, headers = reply
        if isinstance(body, bytes):
            return Response(body, status, headers)
        return JSONResponse(body, status, headers)


class _BreakOff(Response):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Promises more than it sends."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"99")]})
        await send({"type": "http.response.body", "body": b'{"te'})


@contextmanager
def upstream_server(dialect: Dialect, **options: Any) -> Iterator[UpstreamServer]:
    """Serves until the context is left."""
    upstream = UpstreamServer(dialect, **options)
    upstream.gate.set()
    app = Starlette(
        routes=[
            Route("/v1/models", upstream.list_models),
            Route("/v1/audio/transcriptions", upstream.transcribe, methods=["POST"]),
            Route("/v1/audio/translations", upstream.transcribe, methods=["POST"]),
        ]
    )
    config = uvicorn.Config(app, host="127.0.0.1", port=upstream.port, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()

    def end() -> None:
        upstream.gate.set()
        # Connections that are kept open do not keep it.
        server.should_exit = server.force_exit = True
        thread.join()

    upstream.end = end
    try:
        until(lambda: server.started)
        upstream.port = server.servers[0].sockets[0].getsockname()[1]
        yield upstream
    finally:
        end()
