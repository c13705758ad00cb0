"""`POST /v1/audio/transcriptions` and `…/translations`: a form in, one answer or an event stream out."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import anyio
import anyio.to_thread
from sse_starlette.sse import SendTimeoutError
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from gateway.aio import open_task_group
from gateway.audio.length import packets_seconds
from gateway.engine.api import Task
from gateway.errors import (
    AudioTooLongError,
    ClientGoneError,
    EngineFailedError,
    GatewayError,
    InvalidAudioError,
    InvalidRequestError,
)
from gateway.flow.recording import Transcription, open_transcription
from gateway.protocol.events import EventRenderer
from gateway.protocol.formats import render
from gateway.protocol.parse import parse_transcription, parse_translation
from gateway.protocol.request import TranscriptionRequest
from gateway.protocol.strict import streams
from gateway.server.body import Body
from gateway.server.event_stream import RequestChangedError, open_event_stream
from gateway.server.options import decode_options, with_defaults
from gateway.server.service import Service
from gateway.server.spool import Spool
from gateway.server.upload import Upload
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
        self._parse = parse_translation if task == "translate" else parse_transcription

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request.

        Raises:
            GatewayError: A refusal, while nothing of the answer was sent.
        """
        limits = self._service.limits
        with self._service.admission.place(), Spool() as spool:
            upload = Upload(Headers(scope=scope), spool, max_file_bytes=limits.file_bytes)
            body = Body(receive, pause=limits.upload_pause)
            async with open_task_group() as tasks:
                tasks.start_soon(_receive, upload, body, tasks.cancel_scope)
                tasks.start_soon(spool.keep_flushed)
                await self._serve(upload, spool, scope, send)
                tasks.cancel_scope.cancel()

    async def _serve(self, upload: Upload, spool: Spool, scope: Scope, send: Send) -> None:
        """Begins with the file's first bytes; begins again where later fields ask for something else."""
        await upload.file_begun()
        request = self._early_request(upload)
        if request is not None and await self._answer(request, upload, spool, scope, send):
            return
        await upload.complete()
        request = self._parse(upload.fields, strict=self._service.strict)
        if not upload.has_file:
            raise InvalidRequestError(
                "Missing required parameter: 'file'.", param="file", code="missing_required_parameter"
            )
        await self._answer(request, upload, spool, scope, send)

    def _early_request(self, upload: Upload) -> TranscriptionRequest | None:
        """What the fields before the file ask for; None where none came, or they say too little yet."""
        if not upload.has_file or not any(name == "model" for name, _ in upload.fields):
            return None
        return self._parse(upload.fields, strict=self._service.strict)

    async def _answer(
        self, request: TranscriptionRequest, upload: Upload, spool: Spool, scope: Scope, send: Send
    ) -> bool:
        """Transcribes and answers, unless the complete form turns out to ask for something else.

        Returns:
            Whether it was answered.
        """
        service = self._service
        model = service.catalog.find(request.model)
        wanted = with_defaults(request, model.defaults)
        is_stream = request.stream and (not service.strict or streams(request.model))
        logprobs = service.streams_logprobs(request) if is_stream else request.wants_logprobs
        check = partial(self._check_unchanged, request, upload)
        source = spool.reader()
        async with (
            open_task_group() as tasks,
            model.lease() as recognizer,
            open_transcription(
                source,
                recognizer,
                service.resources,
                chunking=service.chunking(wanted),
                decoding=decode_options(wanted, recognizer, task=self._task, logprobs=logprobs),
                release=source.stop,
            ) as transcription,
        ):
            tasks.start_soon(service.abort_when_stopping, transcription)
            tasks.start_soon(self._abort_when_too_long, upload, spool, transcription)
            try:
                if is_stream:
                    events = EventRenderer(wanted, with_logprobs=logprobs)
                    response: Response = await open_event_stream(
                        transcription, events, upload, check, send_pause=service.limits.send_pause
                    )
                else:
                    response = await self._plain(wanted, transcription, check)
            except InvalidAudioError:
                # What broke the upload off is the better reason.
                await upload.complete()
                raise
            except RequestChangedError:
                is_answered = False
            else:
                await _send(response, scope, send)
                is_answered = True
            tasks.cancel_scope.cancel()
        # Not from within: the cancellation that ends the contexts would swallow a `return` there.
        return is_answered

    async def _abort_when_too_long(self, upload: Upload, spool: Spool, transcription: Transcription) -> None:
        """Refuses hours of sound as soon as they are all there, rather than when they are decoded.

        Decoding refuses them too, but takes minutes: an event stream's status cannot wait so long.
        """
        await upload.ended()
        if spool.size < SHORT_BYTES:
            return
        longest = self._service.limits.audio_seconds
        with suppress(GatewayError):  # a broken upload is told by those who read it
            seconds = await anyio.to_thread.run_sync(packets_seconds, spool.reader(), abandon_on_cancel=True)
            if seconds is not None and seconds > longest * TOO_LONG:
                transcription.abort(AudioTooLongError(longest))

    async def _check_unchanged(self, request: TranscriptionRequest, upload: Upload) -> None:
        """Waits for the form's end.

        Raises:
            RequestChangedError: Fields behind the file ask for something else.
            GatewayError: The form or one of those fields is refused.
        """
        await upload.complete()
        if self._parse(upload.fields, strict=self._service.strict) != request:
            raise RequestChangedError

    async def _plain(
        self,
        request: TranscriptionRequest,
        transcription: Transcription,
        check: Callable[[], Awaitable[None]],
    ) -> Response:
        async for event in transcription:
            if isinstance(event, TranscriptDone):
                await check()
                # Laying out the subtitles of three hours takes a second of computing.
                rendered = await anyio.to_thread.run_sync(render, event.transcript, request, self._task)
                return Response(rendered.body, media_type=rendered.media_type)
        raise EngineFailedError("The transcription ended without a result.")


async def _receive(upload: Upload, body: Body, scope: anyio.CancelScope) -> None:
    """Reads the body to its end and then watches: a client that leaves ends all work for it."""
    with suppress(ClientGoneError):
        await upload.receive(body.blocks())
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
