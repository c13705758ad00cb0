"""What systemd is told, on a socket as it would make one."""

import os
import socket
from pathlib import Path

import pytest

from gateway.systemd import ALIVE, READY, Notifier, reloading, starting


def _received(address: str, *states: str) -> list[str]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        for state in states:
            Notifier(address).tell(state)
        return [listener.recv(4096).decode() for _ in states]


def test_states_arrive(tmp_path: Path) -> None:
    """At a path and in the abstract namespace."""
    path = str(tmp_path / "notify")

    assert _received(path, READY, ALIVE) == ["READY=1", "WATCHDOG=1"]
    assert _received(f"@gateway-test-{os.getpid()}", starting("loading", 40)) == [
        "STATUS=loading\nEXTEND_TIMEOUT_USEC=40000000"
    ]
    assert reloading().startswith("RELOADING=1\nMONOTONIC_USEC=")


def test_nobody_listens(tmp_path: Path) -> None:
    """Nor did anybody ask: neither is an error."""
    Notifier(str(tmp_path / "nobody")).tell(READY)
    Notifier(None).tell(READY)

    assert Notifier(None, "1000000").watchdog_seconds is None


@pytest.mark.parametrize(
    ("pid", "seconds"), [(None, 5.0), (os.getpid(), 5.0), (1, None)], ids=["any", "this", "other"]
)
def test_the_watchdog_is_fed_twice_as_often(
    pid: int | None, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As systemd advises, where it is our process that it watches."""
    monkeypatch.setenv("NOTIFY_SOCKET", "@nobody")
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    if pid is not None:
        monkeypatch.setenv("WATCHDOG_PID", str(pid))

    assert Notifier.here().watchdog_seconds == seconds
