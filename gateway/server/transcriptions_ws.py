"""WebSocket `/v1/audio/transcriptions`: audio in as it is recorded, the event stream's events out.

The query holds the POST's parameters (`gateway.protocol.websocket`). Binary frames carry the audio; the text
frame ``{"type":"input_audio.end"}`` ends it. What comes back are text frames: the event stream's objects,
``[DONE]``, and close code 1000. An error, before the first event or after it, is a frame with the error's
envelope, and its close code (`gateway.server.websocket`).

With ``interim_results=true`` there are frames ``{"type":"transcript.text.interim","text":…}`` between them,
while the audio comes no faster than it is read: what is heard after the text of all deltas so far, beginning
with the space that joins it. A caption is the deltas and the last such text, joined; the next one or the next
delta takes its place, an empty one takes it back. Deltas and done are the same as without. Where chunks are
cut by Whisper's own walk (`default_chunking=block`) none come: its windows are cut by length, not by speech.

The client is received from all the time, whatever the engine or its own reading does, because a server that
stops reading reads no pongs either. So its audio goes to a spool, and what it may send is limited.
"""

from dataclasses import replace
from functools import partial

import anyio
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from gateway.aio import open_task_group
from gateway.errors import (
    AudioTooLongError,
    GatewayError,
    InvalidRequestError,
    PayloadTooLargeError,
    UploadTimeoutError,
)
from gateway.flow.options import PartialOptions
from gateway.flow.recording import Transcription, open_transcription
from gateway.protocol.events import END_OF_STREAM, EventRenderer, encode
from gateway.protocol.websocket import StreamQuery, check_text, parse_query
from gateway.server.clients import client_of
from gateway.server.options import with_defaults
from gateway.server.service import Limits, Service, recognition
from gateway.server.spool import Spool
from gateway.server.websocket import receive_message, send_frame

PCM16_BYTES = 2

INTERIM_STEP = 0.7
"""Seconds of new audio from one interim result to the next, at least: two or three words."""


class TranscriptionsWs:
    """The endpoint as an ASGI application. One task receives, one sends."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection.

        Raises:
            GatewayError: What ends it instead of ``[DONE]``; nothing is sent about it here.
            ClientGoneError: The client left.
        """
        query = parse_query(scope["query_string"].decode("latin-1"), strict=self._service.strict_openai)
        client = client_of(scope)
        with client.stream(), self._service.admission.place(), self._service.spool() as spool:
            await self._serve(query, spool, WebSocket(scope, receive, send))

    async def _serve(self, query: StreamQuery, spool: Spool, websocket: WebSocket) -> None:
        service, request = self._service, query.request
        model = service.catalog.find(request.model)
        request = with_defaults(request, model.defaults)
        logprobs = service.streams_logprobs(request)
        chunking = service.chunking(request)
        partials = PartialOptions(step=INTERIM_STEP) if query.interim_results else None
        speakers = await service.speakers_of(request, at_end=False)
        # Before the model is there: clients wait for their handshake seconds only.
        await websocket.accept()
        async with model.lease() as recognizer, open_task_group() as tasks:
            wanted = recognition(
                request,
                recognizer,
                task="transcribe",
                logprobs=logprobs,
                partials=partials,
                speakers=speakers,
            )
            tasks.start_soon(spool.keep_flushed)
            audio = _AudioInput(websocket, spool, service.limits, query.pcm_rate)
            async with open_transcription(
                spool.reader(),
                wanted,
                replace(service.resources, hear=client_of(websocket.scope).hear),
                chunking=replace(chunking, pcm_rate=query.pcm_rate),
                load=service.load,
            ) as transcription:
                tasks.start_soon(audio.run, transcription)
                tasks.start_soon(service.abort_when_stopping, transcription)
                events = EventRenderer(request, with_logprobs=logprobs)
                send = partial(send_frame, websocket, send_timeout=service.limits.send_timeout)
                async for known in transcription:
                    for event in events.render(known):
                        await send(encode(event))
                await send(END_OF_STREAM)
            tasks.cancel_scope.cancel()
        await websocket.close()


class _AudioInput:
    """The client's frames: its audio goes to the spool until it says that it ends."""

    def __init__(self, websocket: WebSocket, spool: Spool, limits: Limits, pcm_rate: int | None) -> None:
        self._websocket = websocket
        self._spool = spool
        self._timeout = limits.upload_timeout
        self._max_bytes = limits.max_stream_bytes
        self._refusal: GatewayError = PayloadTooLargeError(
            f"Maximum content size limit ({self._max_bytes}) exceeded", param="file"
        )
        if pcm_rate is not None:
            self._max_bytes = round(limits.max_audio_seconds * pcm_rate) * PCM16_BYTES
            self._refusal = AudioTooLongError(limits.max_audio_seconds)

    async def run(self, transcription: Transcription) -> None:
        """Receives until the client leaves. A mistake of the client ends the transcription.

        Raises:
            ClientGoneError: The client left.
        """
        try:
            await self._receive_audio()
            await self._spool.finish()
            await self._receive_nothing()
        except GatewayError as error:
            transcription.abort(error)
            while True:
                await receive_message(self._websocket)

    async def _receive_audio(self) -> None:
        while True:
            try:
                with anyio.fail_after(self._timeout):
                    message = await receive_message(self._websocket)
            except TimeoutError:
                raise UploadTimeoutError(
                    f"The audio stopped: nothing came for {self._timeout:g} seconds.", param="file"
                ) from None
            text, data = message.get("text"), message.get("bytes")
            if text is not None:
                check_text(text)
                return
            if data:
                if self._spool.size + len(data) > self._max_bytes:
                    raise self._refusal
                await self._spool.write(data)

    async def _receive_nothing(self) -> None:
        while True:
            message = await receive_message(self._websocket)
            if message.get("bytes"):
                raise InvalidRequestError("Audio came behind the end of the input.")
            if (text := message.get("text")) is not None:
                check_text(text)
