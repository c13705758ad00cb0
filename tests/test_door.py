"""The port is open before the program is loaded, and may be somebody else's who passes it on."""

import json
import os
import signal
import socket

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from gateway.door import open_door
from gateway.errors import SettingsError, StartError
from gateway.settings import Settings
from gateway.systemd import passed_sockets
from tests.support import WAIT_SECONDS, serving_on


def _listener(host: str = "127.0.0.1") -> socket.socket:
    return socket.create_server((host, 0))


def _passed(monkeypatch: pytest.MonkeyPatch, *sockets: socket.socket) -> None:
    """As if whoever started this process had opened them for it."""
    monkeypatch.setattr("gateway.door.passed_sockets", lambda: list(sockets))


def test_an_own_port() -> None:
    """Where nobody passed one."""
    settings, [listener] = open_door(Settings(port=0))
    with listener, socket.create_connection(listener.getsockname()):
        assert settings.port == 0


def test_a_passed_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts, and the settings say so: what depends on the address knows the true one."""
    with _listener() as listener:
        _passed(monkeypatch, listener)
        settings, listeners = open_door(Settings(host="0.0.0.0", port=1))

        assert listeners == [listener]
        assert (settings.host, settings.port) == listener.getsockname()


def test_a_passed_port_needs_keys_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that others reach, of several, is as open as one that was asked for."""
    with _listener() as near, _listener("0.0.0.0") as far:
        _passed(monkeypatch, near, far)
        with pytest.raises(SettingsError, match="without a key"):
            open_door(Settings())


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_what_does_not_listen(monkeypatch: pytest.MonkeyPatch, family: socket.AddressFamily) -> None:
    """Such as the unit's socket for something else."""
    with socket.socket(family) as other:
        _passed(monkeypatch, other)
        with pytest.raises(StartError, match="LISTEN_FDS"):
            open_door(Settings())


def test_sockets_for_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are left alone, and so are wrong words; what starts from here is not told of them."""
    for pid, count in (("1", "1"), (str(os.getpid()), "many")):
        monkeypatch.setenv("LISTEN_PID", pid)
        monkeypatch.setenv("LISTEN_FDS", count)

        assert passed_sockets() == []
        assert "LISTEN_FDS" not in os.environ


@pytest.mark.slow
@pytest.mark.promise("a restart under systemd's socket refuses nobody")
def test_nobody_is_refused_during_a_restart() -> None:
    """Whoever comes while no server runs waits; who is told 1012 comes back at once and is served."""
    with _listener() as listener:
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}/v1/realtime?intent=transcription"
        with serving_on(listener) as first, connect(url, open_timeout=WAIT_SECONDS) as session:
            session.recv(WAIT_SECONDS)
            first.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    session.recv(WAIT_SECONDS)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
            early = socket.create_connection(listener.getsockname())
            assert first.wait(WAIT_SECONDS) == 0
        with early, serving_on(listener), connect(url, sock=early, open_timeout=WAIT_SECONDS) as session:
            assert json.loads(session.recv(WAIT_SECONDS))["type"] == "session.created"
