"""`POST /v1/audio/transcriptions`: the form in, a transcription opened, one answer or an event stream out."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import anyio
from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from gateway.audio.chunking import ChunkingOptions
from gateway.audio.vad import VadOptions
from gateway.concurrency import open_task_group
from gateway.engine.catalog import Catalog
from gateway.engine.types import DecodeOptions, Recognizer
from gateway.errors import (
    EngineFailedError,
    GatewayError,
    InvalidRequestError,
    OverloadedError,
    UnavailableError,
    UnsupportedValueError,
)
from gateway.pipeline import Resources, Transcription, open_transcription
from gateway.protocol.events import END_OF_STREAM, delta_event, done_event, encode, error_body
from gateway.protocol.formats import render
from gateway.protocol.names import is_openai
from gateway.protocol.request import ServerVad, TranscriptionRequest, parse_request
from gateway.server.body import Body, ClientGoneError
from gateway.server.spool import Spool
from gateway.server.upload import read_upload
from gateway.transcript import TextDelta, TranscriptDone, TranscriptEvent

FIRST_EVENT_SECONDS = 10.0
"""How long an event stream's status waits for the first event, so that a refusal keeps its 4xx."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients may take.

    Attributes:
        upload_pause: Seconds a client may pause within its body.
        send_pause: Seconds a client may stop reading its answer.
        streams: Transcriptions at the same time, for all clients together.
    """

    file_bytes: int
    audio_seconds: float
    upload_pause: float
    send_pause: float
    streams: int


class Transcriptions:
    """The endpoint, as an ASGI application: it owns `receive` from the body's first byte to the disconnect.

    Args:
        stopping: Set when the server will wait no longer for running requests.
        always_logprobs: Log-probabilities stand in every delta, asked for or not.
    """

    def __init__(
        self,
        catalog: Catalog[Recognizer],
        resources: Resources,
        limits: Limits,
        *,
        stopping: anyio.Event,
        always_logprobs: bool,
    ) -> None:
        self._catalog = catalog
        self._resources = resources
        self._limits = limits
        self._stopping = stopping
        self._always_logprobs = always_logprobs
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request.

        Raises:
            GatewayError: A refusal, while nothing of the answer was sent.
        """
        if self._open >= self._limits.streams:
            raise OverloadedError("Too many recordings are being transcribed. Please try again soon.")
        self._open += 1
        try:
            with Spool() as spool:
                await self._serve(spool, scope, receive, send)
        finally:
            self._open -= 1

    async def _serve(self, spool: Spool, scope: Scope, receive: Receive, send: Send) -> None:
        body = Body(receive, pause=self._limits.upload_pause)
        upload = await read_upload(
            Headers(scope=scope), body.blocks(), spool, max_file_bytes=self._limits.file_bytes
        )
        request = parse_request(upload.fields)
        if not upload.has_file:
            raise InvalidRequestError(
                "Missing required parameter: 'file'.", param="file", code="missing_required_parameter"
            )
        recognizer = self._catalog.find(request.model)
        with_logprobs = (
            request.wants_logprobs
            or self._always_logprobs
            or (request.stream and not is_openai(request.model))
        )
        async with open_task_group() as tasks:
            tasks.start_soon(_cancel_when_gone, body, tasks.cancel_scope)
            async with open_transcription(
                spool.reader(),
                recognizer,
                self._resources,
                chunking=self._chunking(request),
                decoding=decode_options(request, recognizer, logprobs=with_logprobs),
            ) as transcription:
                tasks.start_soon(self._abort_when_stopping, transcription)
                if request.stream:
                    response = await self._event_stream(transcription, with_logprobs=with_logprobs)
                else:
                    response = await self._answer(request, transcription)
                await _send(response, scope, send)
            tasks.cancel_scope.cancel()

    def _chunking(self, request: TranscriptionRequest) -> ChunkingOptions:
        strategy = request.chunking_strategy
        vad = (
            VadOptions(strategy.threshold, strategy.prefix_padding_ms, strategy.silence_duration_ms)
            if isinstance(strategy, ServerVad)
            else VadOptions()
        )
        return ChunkingOptions(vad=vad, max_seconds=self._limits.audio_seconds)

    async def _abort_when_stopping(self, transcription: Transcription) -> None:
        await self._stopping.wait()
        transcription.abort(UnavailableError("The server is shutting down. Please try again.", retry_after=1))

    async def _answer(self, request: TranscriptionRequest, transcription: Transcription) -> Response:
        async for event in transcription:
            if isinstance(event, TranscriptDone):
                rendered = render(event.transcript, request, with_logprobs=request.wants_logprobs)
                return Response(rendered.body, media_type=rendered.media_type)
        raise EngineFailedError("The transcription ended without a result.")

    async def _event_stream(self, transcription: Transcription, *, with_logprobs: bool) -> Response:
        first: TranscriptEvent | None = None
        with anyio.move_on_after(FIRST_EVENT_SECONDS):
            first = await anext(transcription)
        return EventSourceResponse(
            _lines(first, transcription, with_logprobs=with_logprobs),
            sep="\n",
            send_timeout=self._limits.send_pause,
        )


def decode_options(request: TranscriptionRequest, recognizer: Recognizer, *, logprobs: bool) -> DecodeOptions:
    """What the engine is asked for.

    Raises:
        UnsupportedValueError: The model cannot do it.
        UnavailableError: No worker has loaded the model yet.
    """
    able = recognizer.capabilities
    language = None if request.language is None else request.language.strip().lower().split("-")[0]
    if language is not None and language not in able.languages:
        known = ", ".join(sorted(able.languages))
        raise UnsupportedValueError(
            f"The model '{recognizer.name}' does not know the language '{language}'. It knows: {known}.",
            param="language",
        )
    if request.prompt is not None and not able.prompt:
        raise UnsupportedValueError(f"The model '{recognizer.name}' takes no prompt.", param="prompt")
    return DecodeOptions(
        language=language, prompt=request.prompt, temperature=request.temperature, logprobs=logprobs
    )


async def _cancel_when_gone(body: Body, scope: anyio.CancelScope) -> None:
    await body.disconnected()
    scope.cancel()


async def _send(response: Response, scope: Scope, send: Send) -> None:
    try:
        await response(scope, _never, send)
    except SendTimeoutError:
        raise ClientGoneError from None


async def _never() -> Message:
    """A `receive` for responses that would listen for the disconnect themselves: `Body` does."""
    await anyio.sleep_forever()
    raise AssertionError


async def _lines(
    first: TranscriptEvent | None, transcription: Transcription, *, with_logprobs: bool
) -> AsyncIterator[dict[str, str]]:
    """The stream's data lines. A failure is its last line; [DONE] follows only what is complete."""
    try:
        if first is not None:
            for line in _render(first, with_logprobs=with_logprobs):
                yield line
        async for event in transcription:
            for line in _render(event, with_logprobs=with_logprobs):
                yield line
    except GatewayError as error:
        yield {"data": encode(error_body(error))}
        return
    yield {"data": END_OF_STREAM}


def _render(event: TranscriptEvent, *, with_logprobs: bool) -> list[dict[str, str]]:
    match event:
        case TextDelta():
            return [{"data": encode(delta_event(event, with_logprobs=with_logprobs))}]
        case TranscriptDone(transcript):
            return [{"data": encode(done_event(transcript, with_logprobs=with_logprobs))}]
        case _:
            return []
