"""The one reader of a request's `receive`: first the body, then the disconnect."""

from collections.abc import AsyncIterator

import anyio
from starlette.types import Message, Receive

from gateway.errors import ClientGoneError, UploadTimeoutError
from gateway.server.inflate import Inflater

SLOWEST = 512
"""Bytes a second, beyond the time that a pause may take: half of what speech needs in the thinnest codec."""


class Body:
    """A request body that is read once, and then watched until the client leaves.

    Args:
        upload_timeout: Seconds a client may pause within its body.
        inflater: Unpacks it; None: it comes as it is.
    """

    def __init__(self, receive: Receive, *, upload_timeout: float, inflater: Inflater | None = None) -> None:
        self._receive = receive
        self._upload_timeout = upload_timeout
        self._inflater = inflater
        self._complete = False
        self._seen = 0
        self._waited = 0.0

    async def blocks(self) -> AsyncIterator[bytes]:
        """The body as it arrives.

        Raises:
            UploadTimeoutError: Nothing came for too long.
            ClientGoneError: The client left before the end.
            InvalidRequestError: It is packed, and cannot be unpacked.
        """
        async for block in self._received():
            if self._inflater is None:
                yield block
                continue
            for data in self._inflater.feed(block):
                yield data
        if self._inflater is not None:
            self._inflater.flush()

    async def _received(self) -> AsyncIterator[bytes]:
        while not self._complete:
            message = await self._next()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            self._complete = not message.get("more_body", False)
            if block := message.get("body", b""):
                self._seen += len(block)
                yield block

    async def _next(self) -> Message:
        # Only the client's own time counts, not what our disk and decoder take.
        left = self._upload_timeout + self._seen / SLOWEST - self._waited
        began = anyio.current_time()
        try:
            with anyio.fail_after(max(0.0, min(left, self._upload_timeout))):
                return await self._receive()
        except TimeoutError:
            fault = f"The request body stopped: nothing came for {self._upload_timeout:g} seconds."
            if left < self._upload_timeout:
                fault = f"The request body came too slowly: less than {SLOWEST} bytes a second."
            raise UploadTimeoutError(fault, param="file") from None
        finally:
            self._waited += anyio.current_time() - began

    async def discard(self, limit: int) -> None:
        """Reads what is left and drops it, at most ``limit`` bytes.

        Clients read no answer before they have sent everything: who refuses a request early and hangs up
        makes them see a broken connection instead of the refusal.
        """
        seen = 0
        try:
            async for block in self._received():
                seen += len(block)
                if seen > limit:
                    return
        except (ClientGoneError, UploadTimeoutError):
            self._complete = True

    async def disconnected(self) -> None:
        """Returns when the client leaves; the body must have been read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
