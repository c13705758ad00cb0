"""`GET /captions/{token}`: one speaker's captions as server-sent events, to whoever has the link."""

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.aio import open_task_group
from gateway.errors import ClientGoneError
from gateway.server.relay import Channel, Relay

PACE_SECONDS = 0.25
"""The least time between two events to a reader: what changes meanwhile comes together."""

PING_SECONDS = 15.0
"""Proxies end what is silent for longer: nginx after a minute."""


class Captions:
    """The endpoint. A token needs no key beside it.

    Args:
        leaving: Set when the server begins to end; browsers then come back by themselves.
        send_timeout: Seconds that a reader may take nothing.
    """

    def __init__(self, relay: Relay, leaving: anyio.Event, *, send_timeout: float) -> None:
        self._relay = relay
        self._leaving = leaving
        self._send_timeout = send_timeout

    async def read(self, request: Request) -> Response:
        """The stream.

        Raises:
            NotFoundError: Nobody speaks there.
            OverloadedError: There are too many readers.
        """
        token = request.path_params["token"]
        # Refusals keep their status: known here, before anything is sent.
        with self._relay.reading(token):
            return _Readings(self._relay, token, self._leaving, self._send_timeout)


class _Readings(Response):
    """One reader's stream. Written to ASGI directly: with hundreds of readers layers are most of the cost.

    So is a timer for each event; what takes too long, or nothing to say, is looked for now and then.
    """

    def __init__(self, relay: Relay, token: str, leaving: anyio.Event, send_timeout: float) -> None:
        super().__init__(media_type="text/event-stream", headers={"cache-control": "no-store"})
        # The length is not known.
        del self.headers["content-length"]
        # nginx would hold events back until they fill a buffer.
        self.headers["x-accel-buffering"] = "no"
        self._relay = relay
        self._token = token
        self._leaving = leaving
        self._send_timeout = send_timeout
        self._sending = 0
        self._sent_at = 0.0
        """When the last event began to be sent."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Sends what changes until the reader or the server leaves.

        Raises:
            ClientGoneError: The reader takes nothing any more.
        """
        with self._relay.reading(self._token) as channel:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            async with open_task_group() as tasks:
                tasks.start_soon(_until_gone, receive, tasks.cancel_scope)
                tasks.start_soon(_until_leaving, self._leaving, tasks.cancel_scope)
                tasks.start_soon(self._keep_alive, send)
                await self._relay_to(send, channel)
        await send({"type": "http.response.body", "body": b""})

    async def _relay_to(self, send: Send, channel: Channel) -> None:
        seen = 0
        while True:
            event = f"data: {channel.since(seen)}\n\n"
            seen = channel.version
            await self._send(send, event.encode())
            while channel.version == seen:
                await channel.changed.wait()
            # Seldom so: words come more slowly.
            if (early := self._sent_at + PACE_SECONDS - anyio.current_time()) > 0:
                await anyio.sleep(early)

    async def _send(self, send: Send, body: bytes) -> None:
        self._sent_at = anyio.current_time()
        self._sending += 1
        await send({"type": "http.response.body", "body": body, "more_body": True})
        self._sending -= 1

    async def _keep_alive(self, send: Send) -> None:
        """Says that nothing is said, and ends what takes nothing.

        Raises:
            ClientGoneError: It takes nothing.
        """
        while True:
            await anyio.sleep(min(PING_SECONDS, self._send_timeout))
            ago = anyio.current_time() - self._sent_at
            if self._sending and ago >= self._send_timeout:
                raise ClientGoneError
            if not self._sending and ago >= PING_SECONDS:
                await self._send(send, b": still here\n\n")


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _until_leaving(leaving: anyio.Event, scope: anyio.CancelScope) -> None:
    await leaving.wait()
    scope.cancel()
