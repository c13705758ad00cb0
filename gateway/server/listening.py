"""Sockets to listen on, open before any model is loaded; and who has the port where that fails."""

import errno
import ipaddress
import os
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

from gateway.errors import StartError

BACKLOG = 2048
"""Connections that the kernel keeps until they are accepted; uvicorn's own number."""

LISTENING = "0A"
"""TCP_LISTEN, as `/proc/net/tcp` writes it."""


def is_loopback(host: str) -> bool:
    """Nobody on another machine can reach it."""
    with suppress(ValueError):
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    return host == "localhost"


def open_listeners(host: str, port: int) -> list[socket.socket]:
    """One socket for each of the host's addresses, all on one port.

    Raises:
        StartError: They cannot be had; says why, and who has the port where that can be known.
    """
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StartError(f"cannot listen on {where}: {reason}") from None
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    with ExitStack() as opened:
        sockets: list[socket.socket] = []
        for family, address in addresses:
            # Port 0 takes a free one, which the further addresses then share.
            number = sockets[0].getsockname()[1] if sockets else port
            try:
                listener = _listener(family, (address[0], number, *address[2:]))
            except OSError as error:
                if error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL) and len(addresses) > 1:
                    continue  # such as ::1 of localhost, where IPv6 is off
                raise StartError(_reason(where, port, error)) from None
            sockets.append(opened.enter_context(listener))
        if not sockets:
            raise StartError(f"cannot listen on {where}: {os.strerror(errno.EADDRNOTAVAIL)}")
        opened.pop_all()
    return sockets


def _listener(family: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A port whose connections are still closing is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # 0.0.0.0 and :: are two addresses, on all systems.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _reason(where: str, port: int, error: OSError) -> str:
    if error.errno != errno.EADDRINUSE:
        return f"cannot listen on {where}: {error.strerror}"
    owner = listener_of(port) or "another user's process"
    return f"cannot listen on {where}: address already in use by {owner}"


def listener_of(port: int) -> str | None:
    """Number and command of the process that listens on ``port``, None where we may not know."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in _read(table).splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone, or another user's
            if any(str(link.readlink()) in inodes for link in (process / "fd").iterdir()):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                return f"process {process.name} ({command.strip()[:100]})"
    return None


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
