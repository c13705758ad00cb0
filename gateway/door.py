"""Opens the port, before the rest of the program is loaded.

That takes seconds. Clients that come back after a restart wait for it, and are not refused.
"""

import logging
import socket
import ssl

from gateway.errors import SettingsError, StartError
from gateway.logs import configure_logging
from gateway.server.listening import is_loopback, open_listeners
from gateway.settings import Settings
from gateway.systemd import passed_sockets

logger = logging.getLogger(__name__)


def open_door(settings: Settings) -> tuple[Settings, list[socket.socket]]:
    """The sockets that listen, once it is known that they may, and the settings with their address.

    Raises:
        SettingsError: The whole network would be served without keys, and nobody asked for that.
        StartError: The certificate is none, the port is taken, or what was passed is no socket to serve on.
    """
    configure_logging(settings.log_level, settings.log_format)
    passed = _passed()
    if passed:
        addresses = [listener.getsockname()[:2] for listener in passed]
        host, port = next((each for each in addresses if not is_loopback(each[0])), addresses[0])
        settings = settings.model_copy(update={"host": host, "port": port})
    _check_exposure(settings)
    _check_certificate(settings)
    return settings, passed or open_listeners(settings.host, settings.port)


def _passed() -> list[socket.socket]:
    """Sockets that systemd opened; a unit's own, so whatever is wrong about them is the unit's fault."""
    try:
        passed = passed_sockets()
    except OSError as error:
        raise StartError(f"the sockets that LISTEN_FDS promises are not there: {error.strerror}") from None
    for each in passed:
        listens = each.family in (socket.AF_INET, socket.AF_INET6) and each.getsockopt(
            socket.SOL_SOCKET, socket.SO_ACCEPTCONN
        )
        if not listens:
            raise StartError("a socket that was passed (LISTEN_FDS) does not listen on an address of TCP")
    return passed


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
