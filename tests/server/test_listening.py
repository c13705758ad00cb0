"""Sockets are there before models are, on all of a host's addresses, or it is said who has the port."""

import os
import socket

import pytest

from gateway.errors import StartError
from gateway.server.listening import is_loopback, listener_of, open_listeners


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.168.1.2", False),
        ("fe80::1%eth0", False),
        ("gateway.example", False),
    ],
)
def test_loopback(host: str, *, expected: bool) -> None:
    """What only this machine reaches; names of others are taken for reachable."""
    assert is_loopback(host) is expected


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", ""])
def test_a_free_port_is_listened_on(host: str) -> None:
    """All addresses share the port that the first one got."""
    listeners = open_listeners(host, 0)
    ports = {listener.getsockname()[1] for listener in listeners}
    (port,) = ports
    with socket.create_connection(("127.0.0.1", port)):
        owner = listener_of(port)
    for listener in listeners:
        listener.close()

    assert owner is not None
    assert owner.startswith(f"process {os.getpid()} ")


@pytest.mark.parametrize(
    ("host", "reason"), [("no.such.host.invalid", "cannot listen on no"), ("192.0.2.1", "Cannot assign")]
)
def test_an_address_that_is_not_ours(host: str, reason: str) -> None:
    """The reason is one line."""
    with pytest.raises(StartError, match=reason):
        open_listeners(host, 0)


def test_a_taken_port() -> None:
    """Its owner is named, and nothing of ours stays open."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=f"in use by process {os.getpid()} "):
            open_listeners("127.0.0.1", port)
