"""Uvicorn's connections, bounded: in number, in the time for a request's head, in what nobody reads or takes.

Whoever only holds connections open keeps nobody out: at the limit the one that has waited longest for its
first request gives way, and where all are at work a few more are let in that may ask how the server is.
"""

import asyncio
import resource
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gateway.errors import GatewayError, InvalidRequestError, UnavailableError
from gateway.server.middleware import PROBES, error_response
from gateway.server.under_way import UnderWay

HEAD_SECONDS = 15.0
"""For a request's head, however it drips; browsers and proxies open connections a few seconds ahead."""

RESERVED = 256
"""File handles that connections leave: for spools, pipes, models; half of all, where there are few."""

ACCEPTED_AT_ONCE = 32
"""Connections that asyncio accepts before any of them takes a place."""

EXTRA = 16
"""Connections beyond the limit that may ask for probes."""

MAX_HANDLES = 65_536
"""More are never asked for: some libraries go through all that there might be."""

MAX_LINE_BYTES, MAX_HEADERS = 8_192, 128
"""Of a request for a WebSocket: what `websockets` reads."""

INVALID_DATA = 1007
"""Close code for a text that is none."""

MAX_UNREAD = 1024 * 1024
"""Bytes of pongs that may wait for a client that does not read; a whole event is far smaller."""


def raise_handle_limit() -> int:
    """As many open files as the system lets us have, and how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_HANDLES if hard == resource.RLIM_INFINITY else min(hard, MAX_HANDLES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


def max_connections() -> int:
    """How many fit within the limit on open files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_HANDLES if soft == resource.RLIM_INFINITY else soft
    return most - min(RESERVED, most // 2)


class BoundedHttp(H11Protocol):
    """An HTTP connection that has its time for each request's head, and its place.

    Attributes:
        refuse: Told of what clients are refused; set in a subclass.
    """

    refuse: Callable[[GatewayError], None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Takes a place."""
        super().connection_made(transport)
        self._watch_head()
        over = len(self.connections) - max_connections()
        if over > 0:
            self._make_room(over)

    def data_received(self, data: bytes) -> None:
        """Reads on; the head's time does not begin anew."""
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        """The next request's head may begin."""
        super().on_response_complete()
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leaves its place."""
        self._stop_timer()
        super().connection_lost(exc)

    def waiting_since(self) -> float | None:
        """When its time ends, if it waits for a request: the lower, the longer it has waited."""
        return None if self._head_timer is None else self._head_timer.when()

    def _watch_head(self) -> None:
        # Also what is served begins here, or what was sent was no request and is answered 400.
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            self._stop_timer()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _make_room(self, over: int) -> None:
        waiting = [
            (since, each)
            for each in self.connections
            if isinstance(each, BoundedHttp) and each is not self
            if (since := each.waiting_since()) is not None and not each.transport.is_closing()
        ]
        if waiting:
            min(waiting, key=lambda pair: pair[0])[1].transport.abort()
        elif over > EXTRA:
            self.transport.abort()
        else:
            self.app = _ProbesOnly(self.app, self.refuse)

    def _should_upgrade(self) -> bool:
        # Only a GET asks for a WebSocket; whatever else says so is a request like any other (RFC 9110, 7.8).
        return self.scope["method"] == "GET" and super()._should_upgrade()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hands the connection over; that there is no body some devices say, and websockets wants unsaid."""
        self.headers = [header for header in self.headers if header != (b"content-length", b"0")]
        super().handle_websocket_upgrade(event)


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket whose client must read the pongs that it asks for, and whose long messages take turns.

    Attributes:
        under_way: The messages of all connections; set in a subclass.
    """

    under_way: UnderWay

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sizes: deque[int] = deque()
        """Bytes of each message that is whole and not worked on."""
        self._taken = 0
        """Bytes of the one that is worked on."""
        self._waits = False

    def data_received(self, data: bytes) -> None:
        """Reads on, as long as there is room."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self._refuse_handshake(self.conn.handshake_exc)
        self._note()

    def connection_lost(self, exc: Exception | None) -> None:
        """What was half received will never be whole, though whoever serves it may live on for a while."""
        super().connection_lost(exc)
        self.conn.reader.buffer.clear()
        self.frames = []
        self._note()

    def handle_ping(self) -> None:
        """Answers, unless nobody reads the answers."""
        super().handle_ping()
        if self.transport.get_write_buffer_size() > MAX_UNREAD:
            self.transport.abort()

    def send_receive_event_to_app(self) -> None:
        """A message is whole."""
        if self.curr_msg_data_type == "text" and not (self.close_sent or _is_text(self.frames)):
            # Uvicorn's own answer, which has a traceback in the log.
            self.frames = []
            self.conn.fail(INVALID_DATA, "invalid UTF-8")
            self.handle_parser_exception()
            return
        size, queued = sum(map(len, self.frames)), self.queue.qsize()
        super().send_receive_event_to_app()
        if self.queue.qsize() > queued:
            self._sizes.append(size)

    async def receive(self) -> Any:
        """The next message; whoever asks for it has done with the last one."""
        self._taken = 0
        self._note()
        message = await super().receive()
        if message["type"] == "websocket.receive":
            self._taken = self._sizes.popleft()
        if self._waits:
            self.transport.pause_reading()  # what was resumed right now
        return message

    async def run_asgi(self) -> None:
        """Serves the client."""
        try:
            await super().run_asgi()
        finally:
            self._sizes.clear()
            self._taken = 0
            self._note()

    def wait(self) -> None:
        """Reads no more for now."""
        self._waits = True
        self.transport.pause_reading()

    def go_on(self) -> None:
        """Reads again."""
        self._waits = False
        if not self.read_paused:
            self.transport.resume_reading()

    def _refuse_handshake(self, reason: Exception) -> None:
        # Uvicorn answers what websockets makes a request of; with a body or a long head it makes none.
        error = InvalidRequestError(
            f"This request for a WebSocket cannot be read: {reason.__cause__ or reason}. Its address and "
            f"each header have at most {MAX_LINE_BYTES} bytes, there are at most {MAX_HEADERS} headers, and "
            "no body. POST takes more."
        )
        answer = error_response(error)
        answer.headers["connection"] = "close"
        head = b"".join(b"%b: %b\r\n" % header for header in answer.raw_headers)
        self.handshake_initiated = self.handshake_complete = self.close_sent = True
        self.transport.write(
            b"HTTP/1.1 %d Bad Request\r\n%b\r\n%b" % (answer.status_code, head, bytes(answer.body))
        )
        self.transport.close()

    def _note(self) -> None:
        partly = len(self.conn.reader.buffer) + sum(map(len, self.frames))
        self.under_way.hold(self, partly + sum(self._sizes) + self._taken)


def _is_text(frames: Iterable[bytes]) -> bool:
    if all(frame.isascii() for frame in frames):
        return True  # as all that is long is
    try:
        b"".join(frames).decode()
    except UnicodeDecodeError:
        return False
    return True


class _ProbesOnly:
    """What a connection beyond the limit gets."""

    def __init__(self, app: Any, refuse: Callable[[GatewayError], None]) -> None:
        self._app: ASGIApp = app
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        error = UnavailableError("Too many connections are open.", retry_after=1, reason="connections_full")
        self._refuse(error)
        refusal = error_response(error)
        refusal.headers["connection"] = "close"
        await refusal(scope, receive, send)
