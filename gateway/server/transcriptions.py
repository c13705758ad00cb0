"""`POST /v1/audio/transcriptions` and `…/translations`: a form in, one answer or an event stream out."""

from contextlib import suppress
from dataclasses import replace
from functools import partial

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from gateway.aio import open_task_group
from gateway.audio.chunking import ChunkingOptions
from gateway.audio.length import packets_seconds
from gateway.engine.api import Task
from gateway.errors import (
    AudioTooLongError,
    ClientGoneError,
    EngineFailedError,
    GatewayError,
    InvalidAudioError,
)
from gateway.flow.recording import Transcription, open_transcription
from gateway.protocol.answers import render
from gateway.protocol.contracts import contract
from gateway.protocol.events import EventRenderer
from gateway.protocol.parse import missing, parse_transcription, parse_translation
from gateway.protocol.request import TranscriptionRequest
from gateway.server.body import Body
from gateway.server.clients import client_of
from gateway.server.event_stream import open_event_stream
from gateway.server.options import with_defaults
from gateway.server.service import Service, recognition
from gateway.server.spool import Spool
from gateway.server.upload import EarlyRequest, RequestChangedError, Upload
from gateway.transcript import TranscriptDone

SHORT_BYTES = 32 * 1024
"""A smaller file is decoded before its packets could be counted, however long it claims to be."""

TOO_LONG = 1.01
"""By how much the packets' sum may be over the limit before it decides: encoders pad the last one."""


class Transcriptions:
    """The endpoint as an ASGI application: it owns `receive` from the body's first byte to the disconnect."""

    def __init__(self, service: Service, *, task: Task) -> None:
        self._service = service
        self._task = task
        parse = parse_translation if task == "translate" else parse_transcription
        self._parse = partial(parse, strict=service.strict_openai)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request.

        Raises:
            GatewayError: A refusal, while nothing of the answer was sent.
        """
        limits = self._service.limits
        client = client_of(scope)
        with client.stream(), self._service.admission.place(), Spool() as spool:
            upload = Upload(Headers(scope=scope), spool, max_file_bytes=limits.max_upload_bytes)
            body = Body(receive, upload_timeout=limits.upload_timeout)
            async with open_task_group() as tasks:
                tasks.start_soon(_receive, upload, body, tasks.cancel_scope)
                tasks.start_soon(spool.keep_flushed)
                await self._serve(upload, spool, tasks, scope, send)
                tasks.cancel_scope.cancel()

    async def _serve(self, upload: Upload, spool: Spool, tasks: TaskGroup, scope: Scope, send: Send) -> None:
        """Begins with the file's first bytes; begins again where later fields ask for something else."""
        await upload.file_begun.wait()
        if upload.has_file and any(name == "model" for name, _ in upload.fields):
            early = await EarlyRequest.begin(upload, self._parse)
            with suppress(RequestChangedError):
                await self._answer(early, spool, tasks, scope, send)
                return
        await upload.complete()
        complete = EarlyRequest(upload, self._parse)
        if not upload.has_file:
            raise missing("file")
        await self._answer(complete, spool, tasks, scope, send)

    async def _answer(
        self, early: EarlyRequest, spool: Spool, tasks: TaskGroup, scope: Scope, send: Send
    ) -> None:
        """Transcribes and answers.

        Raises:
            RequestChangedError: The complete form asks for something else; nothing was sent.
        """
        service, request = self._service, early.request
        model = service.catalog.find(request.model)
        wanted = with_defaults(request, model.defaults)
        is_stream = request.stream and (not service.strict_openai or contract(request.model).streams)
        logprobs = service.streams_logprobs(request) if is_stream else request.wants_logprobs
        # Only what nobody reads before its end can be looked at as a whole.
        speakers = await service.speakers_of(wanted, at_end=not is_stream)
        chunking = service.chunking(wanted)
        async with (
            model.lease() as recognizer,
            open_transcription(
                spool.reader(),
                recognition(wanted, recognizer, task=self._task, logprobs=logprobs, speakers=speakers),
                replace(service.resources, hear=client_of(scope).hear),
                chunking=chunking,
            ) as transcription,
        ):
            tasks.start_soon(service.abort_when_stopping, transcription)
            tasks.start_soon(_abort_when_too_long, early.upload, spool, chunking, transcription)
            try:
                if is_stream:
                    events = EventRenderer(wanted, with_logprobs=logprobs)
                    response: Response = await open_event_stream(
                        transcription, events, early, tasks, send_timeout=service.limits.send_timeout
                    )
                else:
                    response = await self._plain(wanted, transcription, early)
            except InvalidAudioError:
                # What broke the upload off is the better reason.
                await early.upload.complete()
                raise
            await response(scope, _never, send)

    async def _plain(
        self, request: TranscriptionRequest, transcription: Transcription, early: EarlyRequest
    ) -> Response:
        async for event in transcription:
            if isinstance(event, TranscriptDone):
                await early.confirm()
                # Laying out the subtitles of three hours takes a second of computing.
                rendered = await anyio.to_thread.run_sync(render, event.transcript, request, self._task)
                return Response(rendered.body, media_type=rendered.media_type)
        raise EngineFailedError("The transcription ended without a result.")


async def _abort_when_too_long(
    upload: Upload, spool: Spool, chunking: ChunkingOptions, transcription: Transcription
) -> None:
    """Refuses hours of sound as soon as they are all there, rather than when they are decoded.

    Decoding refuses them too, but takes minutes: an event stream's status cannot wait so long.
    """
    await upload.ended.wait()
    if spool.size < SHORT_BYTES:
        return
    longest = chunking.max_seconds
    with suppress(GatewayError):  # a broken upload is told by those who read it
        seconds = await anyio.to_thread.run_sync(packets_seconds, spool.reader(), abandon_on_cancel=True)
        if seconds is not None and seconds > longest * TOO_LONG:
            transcription.abort(chunking.too_long or AudioTooLongError(longest))


async def _receive(upload: Upload, body: Body, scope: anyio.CancelScope) -> None:
    """Reads the body to its end and then watches: a client that leaves ends all work for it."""
    with suppress(ClientGoneError):
        await upload.receive(body.blocks())
        await body.disconnected()
    scope.cancel()


async def _never() -> Message:
    """A `receive` for responses that would listen for the disconnect themselves: `Body` does."""
    await anyio.sleep_forever()
    raise AssertionError
