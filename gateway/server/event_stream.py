"""A transcription as server-sent events; the status waits until the first event or refusal is known."""

from collections.abc import AsyncIterator

import anyio
from anyio.abc import TaskGroup
from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from gateway.aio import open_task_group
from gateway.errors import ClientGoneError, GatewayError, InvalidRequestError
from gateway.flow.recording import Transcription
from gateway.metrics import Metrics
from gateway.protocol.events import END_OF_STREAM, EventRenderer, encode, error_body
from gateway.server.upload import EarlyRequest, RequestChangedError, Upload
from gateway.transcript import TranscriptDone, TranscriptEvent

FIRST_EVENT_SECONDS = 10.0
"""How long an event stream's status waits for the first event, so that a refusal keeps its 4xx."""

LATE_FIELDS = (
    "Fields behind the file ask for something else than those before it, which are being answered already. "
    "Where the answer is streamed, send the file last."
)


class EventStream(EventSourceResponse):
    """sse-starlette's response, but for its watch over the client and over signals.

    Whoever serves the request watches its connection already, and ends running streams by a grace period;
    the library would read the connection a second time, and cut every stream at the first signal.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Sends the events, and comments while there are none.

        Raises:
            ClientGoneError: The client stopped reading.
        """
        try:
            async with open_task_group() as tasks:
                tasks.start_soon(self._ping, send)
                await self._stream_response(send)
                tasks.cancel_scope.cancel()
        except SendTimeoutError:
            raise ClientGoneError from None


async def open_event_stream(
    transcription: Transcription,
    events: EventRenderer,
    early: EarlyRequest,
    tasks: TaskGroup,
    *,
    metrics: Metrics,
    send_timeout: float,
) -> EventStream:
    """The response, once its status is known.

    Args:
        early: The request that is being answered, before all of its form may have come.
        tasks: The request's.
        send_timeout: Seconds the client may stop reading.

    Raises:
        GatewayError: A refusal known before the first event.
        RequestChangedError: Known before it, too.
    """
    first: TranscriptEvent | None = None
    with anyio.CancelScope() as waiting:
        tasks.start_soon(_stop_waiting, early.upload, waiting)
        first = await anext(transcription)
    if early.upload.ended.is_set():
        await early.confirm()
    lines = _lines(first, transcription, events, early, metrics)
    return EventStream(lines, sep="\n", send_timeout=send_timeout)


async def _stop_waiting(upload: Upload, waiting: anyio.CancelScope) -> None:
    """While a client sends it reads nothing; from then on it may wait for the status only so long."""
    await upload.ended.wait()
    await anyio.sleep(FIRST_EVENT_SECONDS)
    waiting.cancel()


async def _lines(
    first: TranscriptEvent | None,
    transcription: Transcription,
    events: EventRenderer,
    early: EarlyRequest,
    metrics: Metrics,
) -> AsyncIterator[dict[str, str]]:
    """The stream's data lines. A failure is its last line; [DONE] follows only what is complete."""
    try:
        if first is not None:
            for event in events.render(first):
                yield {"data": encode(event)}
        async for known in transcription:
            if isinstance(known, TranscriptDone):
                await early.confirm()
            for event in events.render(known):
                yield {"data": encode(event)}
    except RequestChangedError:
        late = InvalidRequestError(LATE_FIELDS)
        metrics.refuse(late)
        yield {"data": encode(error_body(late))}
    except GatewayError as error:
        metrics.refuse(error)
        yield {"data": encode(error_body(error))}
    else:
        yield {"data": END_OF_STREAM}
