"""The process that serves: what must be so before it starts, uvicorn with our signals, and its end."""

import asyncio
import logging
import signal
import socket
import ssl
from ipaddress import ip_address
from types import FrameType
from typing import Any

import uvicorn

from gateway.app import LAST_WORDS_SECONDS, Gateway
from gateway.errors import ModelUnavailableError, SettingsError, StartError
from gateway.handles import RESERVE, is_lack
from gateway.logs import configure_logging
from gateway.memory import bound_allocator
from gateway.protocol.realtime.commands import MAX_FRAME_BYTES
from gateway.runtime import plan_models
from gateway.server.connections import ACCEPTED_AT_ONCE, BoundedHttp, BoundedWebSocket, raise_handle_limit
from gateway.server.listening import BACKLOG, is_loopback, open_listeners
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
                http=BoundedHttp,
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
        self._gateway.leave()
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
        """Uvicorn's own, behind the end of the WebSockets, which it would close at once."""
        for server in self.servers:
            server.close()
        await self._gateway.sessions_ended()
        await super().shutdown(sockets)


def run(settings: Settings) -> None:
    """Serves until a signal ends it.

    Raises:
        StartError: A model cannot be had, the certificate is none, or the port is taken.
    """
    configure_logging(settings.log_level, settings.log_format)
    raise_handle_limit()
    RESERVE.fill()
    bound_allocator()
    _check_exposure(settings)
    _check_certificate(settings)
    listeners = open_listeners(settings.host, settings.port)
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


def _check_exposure(settings: Settings) -> None:
    """Nobody serves the whole network without keys by mistake.

    Raises:
        SettingsError: It would be so, and was not asked for.
    """
    if settings.api_keys or settings.keys_file or is_loopback(settings.host):
        return
    if not settings.no_auth:
        raise SettingsError(
            f"on {settings.host} everybody who can reach this machine could use it without a key: "
            "set GATEWAY_API_KEYS, or say --no-auth (GATEWAY_NO_AUTH=true) if that is what you want"
        )
    logger.warning("NO KEYS: everybody who can reach %s:%d may use it", settings.host, settings.port)


def _check_certificate(settings: Settings) -> None:
    """Uvicorn would end with a traceback.

    Raises:
        StartError: The certificate or its key cannot be used.
    """
    if settings.ssl_keyfile and not settings.ssl_certfile:
        raise StartError("GATEWAY_SSL_KEYFILE is set, but not the certificate's GATEWAY_SSL_CERTFILE")
    if not settings.ssl_certfile:
        return
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile, password=_no_password)
    except OSError as error:  # ssl's own errors are of that kind, too
        files = " with ".join(str(file) for file in (settings.ssl_certfile, settings.ssl_keyfile) if file)
        raise StartError(f"cannot use the certificate {files}: {error}") from None


def _no_password() -> str:
    """OpenSSL would ask the terminal otherwise."""
    return ""
