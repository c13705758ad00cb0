"""`POST /v1/audio/transcriptions` and `…/translations`: a form in, one answer or an event stream out."""

from contextlib import suppress
from dataclasses import replace
from urllib.parse import parse_qsl

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from gateway.aio import open_task_group
from gateway.audio.chunking import ChunkingOptions
from gateway.audio.length import packets_seconds
from gateway.errors import (
    AudioTooLongError,
    ClientGoneError,
    EngineFailedError,
    GatewayError,
    InvalidRequestError,
)
from gateway.flow.recording import Transcription, open_transcription
from gateway.protocol.contracts import contract
from gateway.protocol.dialect import Asked, Dialect
from gateway.protocol.events import EventRenderer
from gateway.protocol.parse import misspelt
from gateway.server.addresses import DEPLOYMENT
from gateway.server.body import Body
from gateway.server.clients import client_of
from gateway.server.event_stream import open_event_stream
from gateway.server.form_parts import MAX_FIELD_BYTES
from gateway.server.inflate import Inflater
from gateway.server.options import with_defaults
from gateway.server.service import Limits, Service, recognition
from gateway.server.spool import Spool
from gateway.server.upload import EarlyRequest, RequestChangedError, Upload
from gateway.tracing import step
from gateway.transcript import TranscriptDone

SHORT_BYTES = 32 * 1024
"""A smaller file is decoded before its packets could be counted, however long it claims to be."""

TOO_LONG = 1.01
"""By how much the packets' sum may be over the limit before it decides: encoders pad the last one."""


class Transcriptions:
    """The endpoint as an ASGI application: it owns `receive` from the body's first byte to the disconnect."""

    def __init__(self, service: Service, dialect: Dialect) -> None:
        self._service = service
        self._dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request.

        Raises:
            GatewayError: A refusal, while nothing of the answer was sent.
        """
        limits, headers = self._service.limits, Headers(scope=scope)
        client = client_of(scope)
        with client.stream(), self._service.admission.place(), self._service.spool() as spool:
            upload = Upload(
                headers,
                spool,
                max_file_bytes=limits.max_upload_bytes,
                given=self._given(scope),
                file=self._dialect.file,
            )
            body = Body(receive, upload_timeout=limits.upload_timeout, inflater=_inflater(headers, limits))
            async with open_task_group() as tasks:
                tasks.start_soon(_receive, upload, body, tasks.cancel_scope)
                tasks.start_soon(spool.keep_flushed)
                await self._serve(upload, spool, tasks, scope, send)
                tasks.cancel_scope.cancel()

    def _given(self, scope: Scope) -> list[tuple[str, str]]:
        """What the address says beside the form: the model in the path, as Azure's clients have it."""
        deployment = scope.get(DEPLOYMENT)
        given = [] if deployment is None else [("model", deployment)]
        if self._dialect.reads_query:
            given += parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        return given

    async def _serve(self, upload: Upload, spool: Spool, tasks: TaskGroup, scope: Scope, send: Send) -> None:
        """Begins with the file's first bytes; begins again where later fields ask for something else."""
        await upload.file_begun.wait()
        if upload.has_file:
            early = await EarlyRequest.begin(upload, self._dialect.read)
            with suppress(RequestChangedError):
                await self._answer(early, spool, tasks, scope, send)
                return
        await upload.complete()
        complete = EarlyRequest(upload, self._dialect.read)
        if not upload.has_file:
            raise upload.missing_file()
        await self._answer(complete, spool, tasks, scope, send)

    async def _answer(
        self, early: EarlyRequest, spool: Spool, tasks: TaskGroup, scope: Scope, send: Send
    ) -> None:
        """Transcribes and answers. A refusal waits for the rest of the form, which may complete it.

        Raises:
            RequestChangedError: The complete form asks for something else; nothing was sent.
        """
        try:
            await self._transcribe(early, spool, tasks, scope, send)
        except InvalidRequestError:
            # What broke the upload off is the better reason, too.
            await early.confirm()
            raise

    async def _transcribe(
        self, early: EarlyRequest, spool: Spool, tasks: TaskGroup, scope: Scope, send: Send
    ) -> None:
        service, asked = self._service, early.asked
        request = asked.request
        model = service.catalog.find(request.model)
        wanted = with_defaults(request, model.defaults)
        is_stream = request.stream and (not service.strict_openai or contract(request.model).streams)
        logprobs = service.streams_logprobs(request) if is_stream else request.wants_logprobs
        # Only what nobody reads before its end can be looked at as a whole.
        speakers = await service.speakers_of(wanted, at_end=not is_stream)
        chunking = replace(service.chunking(wanted), pcm_rate=asked.pcm_rate, head_seconds=asked.head_seconds)
        async with (
            model.lease() as recognizer,
            open_transcription(
                spool.reader(),
                recognition(wanted, recognizer, task=asked.task, logprobs=logprobs, speakers=speakers),
                replace(service.resources, hear=client_of(scope).hear),
                chunking=chunking,
            ) as transcription,
        ):
            tasks.start_soon(service.abort_when_stopping, transcription)
            tasks.start_soon(_abort_when_too_long, early.upload, spool, chunking, transcription)
            if is_stream:
                events = EventRenderer(wanted, with_logprobs=logprobs)
                response: Response = await open_event_stream(
                    transcription,
                    events,
                    early,
                    tasks,
                    metrics=service.resources.metrics,
                    send_timeout=service.limits.send_timeout,
                )
            else:
                response = await self._plain(replace(asked, request=wanted), transcription, early)
            _warn(response, early.upload, self._dialect)
            with step("answer"):
                await response(scope, _never, send)

    async def _plain(self, asked: Asked, transcription: Transcription, early: EarlyRequest) -> Response:
        async for event in transcription:
            if isinstance(event, TranscriptDone):
                await early.confirm()
                # Laying out the subtitles of three hours takes a second of computing.
                rendered = await anyio.to_thread.run_sync(self._dialect.render, event.transcript, asked)
                return Response(rendered.body, media_type=rendered.media_type)
        raise EngineFailedError("The transcription ended without a result.")


def _warn(response: Response, upload: Upload, dialect: Dialect) -> None:
    """Unknown fields are ignored, as OpenAI's clients rely on; a slip of the pen should not be in silence."""
    for name, meant in misspelt(upload.fields, dialect.known).items():
        response.headers.append("warning", f'299 - "Unknown field {name}: is {meant} meant?"')


def _inflater(headers: Headers, limits: Limits) -> Inflater | None:
    encoding = headers.get("content-encoding", "identity")
    if encoding.strip().lower() in {"", "identity"}:
        return None
    return Inflater(encoding, max_bytes=limits.max_upload_bytes + 2 * MAX_FIELD_BYTES)


async def _abort_when_too_long(
    upload: Upload, spool: Spool, chunking: ChunkingOptions, transcription: Transcription
) -> None:
    """Refuses hours of sound as soon as they are all there, rather than when they are decoded.

    Decoding refuses them too, but takes minutes: an event stream's status cannot wait so long.
    """
    await upload.ended.wait()
    if spool.size < SHORT_BYTES or chunking.head_seconds is not None:
        return
    longest = chunking.max_seconds
    with suppress(GatewayError):  # a broken upload is told by those who read it
        seconds = await anyio.to_thread.run_sync(packets_seconds, spool.reader(), abandon_on_cancel=True)
        if seconds is not None and seconds > longest * TOO_LONG:
            transcription.abort(chunking.too_long or AudioTooLongError(longest))


async def _receive(upload: Upload, body: Body, scope: anyio.CancelScope) -> None:
    """Reads the body to its end and then watches: a client that leaves ends all work for it."""
    with suppress(ClientGoneError):
        with step("upload"):
            await upload.receive(body.blocks())
        await body.disconnected()
    scope.cancel()


async def _never() -> Message:
    """A `receive` for responses that would listen for the disconnect themselves: `Body` does."""
    await anyio.sleep_forever()
    raise AssertionError
