"""Who gets in, and for how long: heads that drip, pings without end, proxies, and keys that change."""

import os
import signal
import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.keys import add_key
from gateway.server.connections import HEAD_SECONDS
from tests.clock import Clock
from tests.scripted import ScriptedSpec
from tests.support import live_server, served, until

HEAD = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n"


def _connect(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), timeout=120)


@pytest.mark.parametrize("answered", [0, 1])
def test_a_head_that_drips(monkeypatch: pytest.MonkeyPatch, answered: int) -> None:
    """It has its time from the first byte, or from the last answer, and no byte more gives it any."""
    with live_server([ScriptedSpec()]) as server, _connect(server.url) as client:
        clock = Clock(server.loop, monkeypatch)
        for _ in range(answered):
            client.sendall(HEAD + b"\r\n")
            answer = b""
            while not answer.endswith(b"}]}"):
                answer += client.recv(65_536)
        client.sendall(HEAD)
        assert httpx.get(f"{server.url}/health").status_code == 200
        clock.advance(HEAD_SECONDS / 2)
        client.sendall(b"x-more: 1\r\n")
        assert httpx.get(f"{server.url}/health").status_code == 200
        clock.advance(HEAD_SECONDS / 2)

        assert client.recv(65_536) == b""


def test_pings_of_a_client_that_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pongs would fill the memory: it is thrown out, and its session with it."""
    monkeypatch.setattr("gateway.server.connections.MAX_UNREAD", 32_768)
    pings = (b"\x89\xfd" + bytes(4) + bytes(125)) * 100
    with live_server([ScriptedSpec()], resume_seconds=0) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        address = urlsplit(server.url)
        client.connect((address.hostname, address.port))
        client.sendall(
            b"GET /v1/realtime?intent=transcription HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\n"
            b"connection: upgrade\r\nsec-websocket-version: 13\r\n"
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        until(lambda: server.metric("gateway_live_sessions"))
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            while True:
                client.sendall(pings)
        until(lambda: not server.metric("gateway_live_sessions"))


@pytest.mark.parametrize(
    ("trusted", "statuses"), [((), [200, 429]), (("127.0.0.1",), [200, 200]), (("10.0.0.0/8",), [200, 429])]
)
def test_whose_word_about_addresses_counts(trusted: tuple[str, ...], statuses: list[int]) -> None:
    """Without keys an address is a client: whoever could choose their own would have no limits."""
    with live_server([ScriptedSpec()], trusted_proxies=trusted, client_requests_per_minute=1) as server:
        answers = [
            httpx.get(f"{server.url}/v1/models", headers={"x-forwarded-for": address})
            for address in ("192.0.2.1", "192.0.2.2")
        ]

    assert [answer.status_code for answer in answers] == statuses


def test_the_file_of_keys_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new key opens the running server, one that was taken out does not; a broken file changes nothing."""
    monkeypatch.setattr("gateway.server.auth.LOOK_SECONDS", 0.02)
    file = tmp_path / "keys.toml"
    add_key(file, "ann", "k1")
    with live_server([ScriptedSpec()], keys_file=file) as server:

        def status(key: str) -> int:
            headers = {"authorization": f"Bearer {key}"}
            return httpx.get(f"{server.url}/v1/models", headers=headers).status_code

        assert (status("k1"), status("k2")) == (200, 401)
        add_key(file, "ben", "k2")
        until(lambda: status("k2") == 200)
        assert status("k1") == 200
        file.write_text("broken")
        _replace(file, tmp_path / "new.toml", "cid", "k3")
        until(lambda: status("k3") == 200)
        assert (status("k1"), status("k2")) == (401, 401)


def test_sighup_reads_the_keys(tmp_path: Path) -> None:
    """At once, and what is broken is said in one line."""
    file = tmp_path / "keys.toml"
    add_key(file, "ann", "k1")
    with served(GATEWAY_KEYS_FILE=str(file)) as server:
        pid = server.pids[0]
        file.write_text("broken")
        os.kill(pid, signal.SIGHUP)
        until(lambda: "not reloaded" in server.log.read_text())
        answer = httpx.get(f"{server.url}/v1/models", headers={"authorization": "Bearer k1"})
        assert answer.status_code == 200
        _replace(file, tmp_path / "new.toml", "ben", "k2")
        os.kill(pid, signal.SIGHUP)
        until(lambda: _opens(server.url, "k2"))
        log = server.log.read_text()

    assert "Traceback" not in log
    assert "k2" not in log


def _opens(url: str, key: str) -> bool:
    return httpx.get(f"{url}/v1/models", headers={"authorization": f"Bearer {key}"}).status_code == 200


def _replace(file: Path, draft: Path, name: str, key: str) -> None:
    """As editors do it, in one step."""
    with suppress(FileNotFoundError):
        draft.unlink()
    add_key(draft, name, key)
    draft.replace(file)
