"""One reader for body and disconnect; it never waits for ever on a client that stopped."""

import gzip
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from gateway.errors import ClientGoneError, InvalidRequestError, UploadTimeoutError
from gateway.server.body import Body
from gateway.server.inflate import Inflater
from tests.clock import Clock


def _receive(*messages: dict[str, Any]) -> Callable[[], Awaitable[dict[str, Any]]]:
    """Gives the messages, then waits for ever."""
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        if not waiting:
            await anyio.sleep_forever()
        return waiting.pop(0)

    return receive


def _piece(data: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


GONE = {"type": "http.disconnect"}


async def _collect(body: Body) -> list[bytes]:
    return [block async for block in body.blocks()]


async def test_blocks_then_disconnect() -> None:
    """The body is read to its end; behind it the disconnect is waited for."""
    body = Body(_receive(_piece(b"a"), _piece(b""), _piece(b"b", more=False), GONE), upload_timeout=5)

    assert await _collect(body) == [b"a", b"b"]
    with anyio.fail_after(60):
        await body.disconnected()


async def test_a_client_that_leaves_within_the_body() -> None:
    """Nobody is left to answer."""
    with pytest.raises(ClientGoneError):
        await _collect(Body(_receive(_piece(b"a"), GONE), upload_timeout=5))


async def test_a_client_that_stops_sending() -> None:
    """After the pause it is told so."""
    with pytest.raises(UploadTimeoutError) as caught:
        await _collect(Body(_receive(_piece(b"a")), upload_timeout=0.01))

    assert caught.value.param == "file"


@pytest.mark.parametrize("messages", [[_piece(b"abc")] * 4, [_piece(b"a"), GONE], [_piece(b"a")]])
async def test_discarding_ends(messages: list[dict[str, Any]]) -> None:
    """The rest of a refused body is dropped, up to a limit, a disconnect or a pause."""
    with anyio.fail_after(60):
        await Body(_receive(*messages), upload_timeout=0.01).discard(limit=10)


async def test_a_packed_body_is_unpacked() -> None:
    """In whatever pieces it comes; one that is cut off is refused."""
    packed = gzip.compress(b"hello")
    pieces = [_piece(packed[:5]), _piece(packed[5:], more=False)]
    body = Body(_receive(*pieces), upload_timeout=5, inflater=Inflater("gzip", max_bytes=10))

    assert b"".join(await _collect(body)) == b"hello"
    cut = Body(
        _receive(_piece(packed[:-9], more=False)), upload_timeout=5, inflater=Inflater("gzip", max_bytes=10)
    )
    with pytest.raises(InvalidRequestError):
        await _collect(cut)


@pytest.mark.parametrize(("size", "pieces"), [(1, 2), (256, 3)])
async def test_a_body_that_drips(clock: Clock, size: int, pieces: int) -> None:
    """Each piece comes in time, but all of them too slowly; how long it may take grows with what has come."""
    came = 0

    async def receive() -> dict[str, Any]:
        nonlocal came
        clock.advance(0.9)
        await anyio.lowlevel.checkpoint()
        came += 1
        return _piece(bytes(size))

    with pytest.raises(UploadTimeoutError, match="too slowly"):
        await _collect(Body(receive, upload_timeout=1))

    assert came == pieces
