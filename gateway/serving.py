"""The process that serves: uvicorn with our signals, and its end."""

import asyncio
import logging
import signal
import socket
from ipaddress import ip_address
from types import FrameType
from typing import Any

import uvicorn

from gateway import allocator
from gateway.app import LAST_WORDS_SECONDS, Gateway
from gateway.errors import ModelUnavailableError, StartError
from gateway.handles import RESERVE, is_lack
from gateway.protocol.realtime.commands import MAX_FRAME_BYTES
from gateway.runtime.plans import plan_models
from gateway.server.connections import ACCEPTED_AT_ONCE, BoundedHttp, BoundedWebSocket, raise_handle_limit
from gateway.server.listening import BACKLOG, open_listeners
from gateway.settings import Settings

logger = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """Uvicorn, with our signal step before its own."""

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                gateway.app,
                host=settings.host,
                port=settings.port,
                ssl_certfile=settings.ssl_certfile,
                ssl_keyfile=settings.ssl_keyfile,
                log_config=None,
                access_log=False,  # ours has request ids, and no queries
                http=type("Http", (BoundedHttp,), {"refuse": staticmethod(gateway.metrics.refuse)}),
                backlog=ACCEPTED_AT_ONCE,
                ws=type("WebSocket", (BoundedWebSocket,), {"under_way": gateway.under_way}),
                lifespan="on",
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=list(settings.trusted_proxies),
                ws_max_size=MAX_FRAME_BYTES,
                # Audio in base64 hardly shrinks; 200 KB of frames could swell to 200 MB at once, though.
                ws_per_message_deflate=False,
                # All but what ignores its cancellation has ended by then, see `Gateway`.
                timeout_graceful_shutdown=round(settings.shutdown_grace + LAST_WORDS_SECONDS + 1),
            )
        )
        self._gateway = gateway
        self._reloads = False
        gateway.on_failure = self._give_up
        connections = self.server_state.connections
        gateway.metrics.open_connections.set_function(lambda: len(connections))
        gateway.metrics.unsent_bytes.set_function(
            lambda: sum(each.transport.get_write_buffer_size() for each in connections)
        )

    def _give_up(self) -> None:
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Uvicorn's own; then the addresses are true."""
        asyncio.get_running_loop().set_exception_handler(_handle_exception)
        listeners = sockets or open_listeners(self.config.host, self.config.port)
        await super().startup(listeners)
        for listener in listeners:
            # asyncio accepts as many at once as it lets wait, before any of them can be counted.
            listener.listen(BACKLOG)
        if not self.started:
            return
        address = ip_address(self.servers[0].sockets[0].getsockname()[0])
        port = self.servers[0].sockets[0].getsockname()[1]
        local = address.is_loopback or address.is_unspecified
        host = "localhost" if local else f"[{address}]" if address.version == 6 else address
        url = f"{'https' if self.config.ssl_certfile else 'http'}://{host}:{port}"
        logger.info("running on %s : open it in a browser for captions", url)
        logger.info("base URL for OpenAI's clients: %s/v1", url)
        logger.info("reference: %s/docs", url)
        for model in self._gateway.models:
            logger.info("serving model %s", model.name)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as signals call it
        """SIGTERM and Ctrl-C; a second one ends within a second."""
        if self.should_exit:
            self._gateway.leave()
        # Not uvicorn's own: a second Ctrl-C would leave the workers to themselves.
        self.should_exit = True

    def handle_reload(self, *_: object) -> None:
        """SIGHUP: the settings are read anew at the next tick, outside of the signal's handler."""
        self._reloads = True

    async def on_tick(self, counter: int) -> bool:
        """Uvicorn's own, ten times a second."""
        RESERVE.fill()
        if self._reloads:
            self._reloads = False
            self._gateway.reload()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Uvicorn's own, behind the end of the WebSockets, which it would close at once.

        Nobody is let in once the first session is told: who came back at once would be told the same, and
        give up. Pipecat does after three times.
        """
        for server in self.servers:
            server.close()
        self._gateway.leave()
        await self._gateway.sessions_ended()
        await super().shutdown(sockets)


def run(settings: Settings, listeners: list[socket.socket]) -> None:
    """Serves on these sockets until a signal ends it.

    Raises:
        StartError: A model cannot be had.
    """
    raise_handle_limit()
    RESERVE.fill()
    allocator.give_back()
    try:
        plans = plan_models(settings)
    except ModelUnavailableError as error:
        raise StartError(str(error)) from None
    try:
        gateway = Gateway(settings, plans)
    except ValueError as error:
        raise StartError(str(error)) from None
    server = Server(gateway, settings)
    # One that comes when the server has ended already changes nothing about it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGHUP, server.handle_reload)
    server.run(listeners)
    if gateway.failure is not None:
        raise StartError(gateway.failure)


def _handle_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What nobody waits for: asyncio's own answer, but where a connection cannot be accepted for now."""
    if is_lack(context.get("exception")):
        RESERVE.lend()  # asyncio tries again in a second
    else:
        loop.default_exception_handler(context)
