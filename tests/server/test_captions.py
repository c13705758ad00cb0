"""A reader's stream of captions, without a network: what is sent, and when it ends."""

from collections.abc import Awaitable, Callable

import anyio
import pytest
from starlette.requests import Request
from starlette.types import Message, Receive, Send

from gateway.aio import Changed
from gateway.errors import ClientGoneError
from gateway.metrics import Metrics
from gateway.server import captions
from gateway.server.captions import Captions
from gateway.server.relay import Publication, Relay, token_of
from gateway.transcript.events import ItemDelta

SECRET = "nobody-else-reads-this-one"


async def _never() -> Message:
    await anyio.sleep_forever()
    raise AssertionError


async def _read(
    send: Send,
    during: Callable[[Publication], Awaitable[None]],
    *,
    receive: Receive = _never,
    send_timeout: float = 60.0,
) -> None:
    """Reads until the reader is gone, or the server leaves, which is when ``during`` has ended."""
    relay, leaving = Relay(10, Metrics()), anyio.Event()
    scope = {"type": "http", "path_params": {"token": token_of(SECRET)}}
    with relay.speaking(SECRET) as publication:
        assert publication is not None
        response = await Captions(relay, leaving, send_timeout=send_timeout).read(Request(scope))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(response, scope, receive, send)
            await during(publication)
            leaving.set()


class Sent:
    """What was sent, and a way to wait for it."""

    def __init__(self) -> None:
        self._bodies: list[bytes] = []
        self._changed = Changed()

    async def __call__(self, message: Message) -> None:
        """As ASGI's ``send``."""
        if message["type"] == "http.response.body":
            self._bodies.append(message["body"])
            self._changed.notify()

    async def next(self) -> bytes:
        """The next body."""
        with anyio.fail_after(60):
            await self._changed.until(lambda: self._bodies)
        return self._bodies.pop(0)


async def test_what_changes_is_sent() -> None:
    """First the state, then what is new; at the server's end the body ends."""
    sent = Sent()

    async def speak(publication: Publication) -> None:
        assert b"captions.snapshot" in await sent.next()
        publication.take(ItemDelta("a", " Hello", (), logprobs=False))
        assert b" Hello" in await sent.next()

    await _read(sent, speak)

    assert await sent.next() == b""


async def test_silence_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody speaks, a comment keeps proxies from ending the stream, again and again."""
    monkeypatch.setattr(captions, "PING_SECONDS", 0.01)
    sent = Sent()

    async def be_silent(publication: Publication) -> None:
        del publication
        await sent.next()
        for _ in range(2):
            assert (await sent.next()).startswith(b":")

    await _read(sent, be_silent)


async def test_a_reader_that_takes_nothing() -> None:
    """It is given up, though its connection stays open."""

    async def take_nothing(message: Message) -> None:
        if message["type"] == "http.response.body":
            await anyio.sleep_forever()

    with pytest.RaisesGroup(ClientGoneError), anyio.fail_after(60):
        await _read(take_nothing, lambda _: anyio.sleep_forever(), send_timeout=0.01)


async def test_a_reader_that_leaves() -> None:
    """Its stream ends, while others go on."""
    left = anyio.Event()

    async def leave() -> Message:
        await left.wait()
        return {"type": "http.disconnect"}

    sent = Sent()

    async def watch(_: Publication) -> None:
        await sent.next()
        left.set()
        assert await sent.next() == b""

    await _read(sent, watch, receive=leave)
