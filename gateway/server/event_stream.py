"""A transcription as server-sent events; the status waits until the first event or refusal is known."""

from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
from sse_starlette import EventSourceResponse

from gateway.aio import open_task_group
from gateway.errors import GatewayError, InvalidRequestError
from gateway.flow.recording import Transcription
from gateway.protocol.events import END_OF_STREAM, EventRenderer, encode, error_body
from gateway.server.upload import Upload
from gateway.transcript import TranscriptDone, TranscriptEvent

FIRST_EVENT_SECONDS = 10.0
"""How long an event stream's status waits for the first event, so that a refusal keeps its 4xx."""

LATE_FIELDS = (
    "Fields behind the file ask for something else than those before it, which are being answered already. "
    "Where the answer is streamed, send the file last."
)


class RequestChangedError(Exception):
    """The fields behind the file ask for something else than those before it."""


async def open_event_stream(
    transcription: Transcription,
    events: EventRenderer,
    upload: Upload,
    check: Callable[[], Awaitable[None]],
    *,
    send_pause: float,
) -> EventSourceResponse:
    """The response, once its status is known.

    Args:
        check: Raises where the complete form is refused or asks for something else.
        send_pause: Seconds the client may stop reading.

    Raises:
        GatewayError: A refusal known before the first event.
        RequestChangedError: Known before it, too.
    """
    first: TranscriptEvent | None = None
    async with open_task_group() as tasks:
        tasks.start_soon(_stop_waiting, upload, tasks.cancel_scope)
        first = await anext(transcription)
        tasks.cancel_scope.cancel()
    if upload.is_complete:
        await check()
    return EventSourceResponse(_lines(first, transcription, events, check), sep="\n", send_timeout=send_pause)


async def _stop_waiting(upload: Upload, scope: anyio.CancelScope) -> None:
    """While a client sends it reads nothing; from then on it may wait for the status only so long."""
    await upload.ended()
    await anyio.sleep(FIRST_EVENT_SECONDS)
    scope.cancel()


async def _lines(
    first: TranscriptEvent | None,
    transcription: Transcription,
    events: EventRenderer,
    check: Callable[[], Awaitable[None]],
) -> AsyncIterator[dict[str, str]]:
    """The stream's data lines. A failure is its last line; [DONE] follows only what is complete."""
    try:
        if first is not None:
            for event in events.render(first):
                yield {"data": encode(event)}
        async for known in transcription:
            if isinstance(known, TranscriptDone):
                await check()
            for event in events.render(known):
                yield {"data": encode(event)}
    except RequestChangedError:
        yield {"data": encode(error_body(InvalidRequestError(LATE_FIELDS)))}
        return
    except GatewayError as error:
        yield {"data": encode(error_body(error))}
        return
    yield {"data": END_OF_STREAM}
