"""`POST /v1/audio/transcriptions` and `…/translations`: a form in, one answer or an event stream out."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

import anyio
import anyio.to_thread
from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from gateway.audio.chunking import ChunkingOptions
from gateway.concurrency import open_task_group
from gateway.engine.catalog import Catalog
from gateway.engine.served import ServedModel
from gateway.engine.types import Task
from gateway.errors import EngineFailedError, GatewayError, InvalidRequestError, ShuttingDownError
from gateway.pipeline import Resources, Transcription, open_transcription
from gateway.protocol.events import END_OF_STREAM, EventRenderer, encode, error_body
from gateway.protocol.formats import render
from gateway.protocol.names import is_openai
from gateway.protocol.parse import parse_transcription, parse_translation
from gateway.protocol.request import TranscriptionRequest
from gateway.protocol.strict import streams
from gateway.server.admission import Admission
from gateway.server.body import Body, ClientGoneError
from gateway.server.options import chunking_options, decode_options, with_defaults
from gateway.server.spool import Spool
from gateway.server.upload import read_upload
from gateway.transcript import TranscriptDone, TranscriptEvent

FIRST_EVENT_SECONDS = 10.0
"""How long an event stream's status waits for the first event, so that a refusal keeps its 4xx."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may take.

    Attributes:
        stream_bytes: Of a container that comes through a WebSocket.
        upload_pause: Seconds a client may pause within its body, or between its frames.
        send_pause: Seconds a client may stop reading its answer.
    """

    file_bytes: int
    stream_bytes: int
    audio_seconds: float
    upload_pause: float
    send_pause: float


@dataclass(frozen=True, slots=True)
class Service:
    """What the transcribing endpoints share.

    Attributes:
        default_chunking: What an unset `chunking_strategy` means.
        stopping: Set when the server will wait no longer for running requests.
        always_logprobs: Log-probabilities stand in every delta, asked for or not.
        strict: Refuse what OpenAI refuses, too.
    """

    catalog: Catalog[ServedModel]
    resources: Resources
    limits: Limits
    admission: Admission
    stopping: anyio.Event
    default_chunking: Literal["auto", "block"] = "auto"
    always_logprobs: bool = False
    strict: bool = False

    def chunking(self, request: TranscriptionRequest) -> ChunkingOptions:
        """How the request's recording is cut."""
        return chunking_options(request, max_seconds=self.limits.audio_seconds, default=self.default_chunking)

    def streams_logprobs(self, request: TranscriptionRequest) -> bool:
        """Asked for, or expected: clients of names that are none of OpenAI's read them unasked."""
        return request.wants_logprobs or self.always_logprobs or not is_openai(request.model)

    async def abort_when_stopping(self, transcription: Transcription) -> None:
        """Ends the transcription together with the server."""
        await self.stopping.wait()
        transcription.abort(ShuttingDownError())


class Transcriptions:
    """The endpoint as an ASGI application: it owns `receive` from the body's first byte to the disconnect."""

    def __init__(self, service: Service, *, task: Task) -> None:
        self._service = service
        self._task = task
        self._parse = parse_translation if task == "translate" else parse_transcription

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request.

        Raises:
            GatewayError: A refusal, while nothing of the answer was sent.
        """
        with self._service.admission.place(), Spool() as spool:
            await self._serve(spool, scope, receive, send)

    async def _serve(self, spool: Spool, scope: Scope, receive: Receive, send: Send) -> None:
        service, limits = self._service, self._service.limits
        body = Body(receive, pause=limits.upload_pause)
        upload = await read_upload(
            Headers(scope=scope), body.blocks(), spool, max_file_bytes=limits.file_bytes
        )
        request = self._parse(upload.fields, strict=service.strict)
        if not upload.has_file:
            raise InvalidRequestError(
                "Missing required parameter: 'file'.", param="file", code="missing_required_parameter"
            )
        model = service.catalog.find(request.model)
        request = with_defaults(request, model.defaults)
        is_stream = request.stream and (not service.strict or streams(request.model))
        logprobs = service.streams_logprobs(request) if is_stream else request.wants_logprobs
        async with open_task_group() as tasks:
            tasks.start_soon(_cancel_when_gone, body, tasks.cancel_scope)
            async with (
                model.lease() as recognizer,
                open_transcription(
                    spool.reader(),
                    recognizer,
                    service.resources,
                    chunking=service.chunking(request),
                    decoding=decode_options(request, recognizer, task=self._task, logprobs=logprobs),
                ) as transcription,
            ):
                tasks.start_soon(service.abort_when_stopping, transcription)
                if is_stream:
                    events = EventRenderer(request, with_logprobs=logprobs)
                    response = await self._event_stream(transcription, events)
                else:
                    response = await self._answer(request, transcription)
                await _send(response, scope, send)
            tasks.cancel_scope.cancel()

    async def _answer(self, request: TranscriptionRequest, transcription: Transcription) -> Response:
        async for event in transcription:
            if isinstance(event, TranscriptDone):
                # Laying out the subtitles of three hours takes a second of computing.
                rendered = await anyio.to_thread.run_sync(render, event.transcript, request, self._task)
                return Response(rendered.body, media_type=rendered.media_type)
        raise EngineFailedError("The transcription ended without a result.")

    async def _event_stream(self, transcription: Transcription, events: EventRenderer) -> Response:
        first: TranscriptEvent | None = None
        with anyio.move_on_after(FIRST_EVENT_SECONDS):
            first = await anext(transcription)
        return EventSourceResponse(
            _lines(first, transcription, events), sep="\n", send_timeout=self._service.limits.send_pause
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
    first: TranscriptEvent | None, transcription: Transcription, events: EventRenderer
) -> AsyncIterator[dict[str, str]]:
    """The stream's data lines. A failure is its last line; [DONE] follows only what is complete."""
    try:
        if first is not None:
            for event in events.render(first):
                yield {"data": encode(event)}
        async for known in transcription:
            for event in events.render(known):
                yield {"data": encode(event)}
    except GatewayError as error:
        yield {"data": encode(error_body(error))}
        return
    yield {"data": END_OF_STREAM}
