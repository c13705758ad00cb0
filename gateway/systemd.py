"""What systemd and the server have for each other, where a unit started it.

Sockets at the start, sd_listen_fds(3) in short, and how the server fares, sd_notify(3) in short.
"""

import os
import socket
import time
from contextlib import suppress

FIRST_PASSED = 3
"""The first descriptor behind the three that every process has."""

READY = "READY=1"
STOPPING = "STOPPING=1"
ALIVE = "WATCHDOG=1"


def passed_sockets() -> list[socket.socket]:
    """The sockets that whoever started this process opened for it; none where nobody did.

    They outlive the process, so that who connects between its end and the next one's start waits, and is not
    refused. Asked for once: the workers are told nothing of them.
    """
    pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    passed = [socket.socket(fileno=FIRST_PASSED + number) for number in range(int(count))]
    for each in passed:
        each.set_inheritable(False)
    return passed


def reloading() -> str:
    """Says that the settings are read anew; `READY` follows."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"


def starting(doing: str, seconds: float) -> str:
    """Says what the start is at, and that it may take so much longer: a model may have to be fetched."""
    return f"STATUS={doing}\nEXTEND_TIMEOUT_USEC={round(seconds * 1e6)}"


class Notifier:
    """Sends states to systemd's socket, and to nobody where there is none.

    Args:
        address: NOTIFY_SOCKET; a leading @ stands for the abstract namespace.
        watchdog_usec: WATCHDOG_USEC: how long systemd waits for the next `ALIVE`.

    Attributes:
        watchdog_seconds: How often to say `ALIVE`; None where nobody asks.
    """

    def __init__(self, address: str | None, watchdog_usec: str | None = None) -> None:
        self._address = f"\0{address[1:]}" if address and address.startswith("@") else address
        self.watchdog_seconds = (
            int(watchdog_usec) / 2e6 if address and watchdog_usec and watchdog_usec.isdecimal() else None
        )

    @classmethod
    def here(cls) -> "Notifier":
        """The one of this process' environment."""
        for_us = os.environ.get("WATCHDOG_PID") in (None, str(os.getpid()))
        return cls(os.environ.get("NOTIFY_SOCKET"), os.environ.get("WATCHDOG_USEC") if for_us else None)

    def tell(self, state: str) -> None:
        """Sends one state; whatever goes wrong, the server goes on."""
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.connect(self._address)
            connection.setblocking(False)
            connection.send(state.encode())
