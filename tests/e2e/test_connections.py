"""Whoever holds connections keeps nobody out, on a real server with few file handles."""

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.sync.client import connect

from tests.support import MODEL, Sample, served, until

pytestmark = pytest.mark.slow

HANDLES = 256
"""Few enough that idle connections would take them all, were they let."""

SOFT, IDLE = 1024, 2000
"""A usual limit of a shell or a service, and as many connections as once ended the service."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server in a process of its own that may open few files."""
    log = tmp_path_factory.mktemp("log") / "stderr"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (HANDLES // 2, HANDLES))

    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve", "--port", "0", "--model", str(MODEL)],
            stderr=stderr,
            preexec_fn=limit,  # noqa: PLW1509 - no thread runs in the tests' process then
            env={**os.environ, "GATEWAY_SHUTDOWN_GRACE": "0.1"},
        )
    try:
        until(lambda: process.poll() is not None or "running on" in log.read_text())
        address = log.read_text().split("running on ")[1].split()[0]
        until(lambda: httpx.get(f"{address}/ready").status_code == 200)
        yield address
        assert "Traceback" not in log.read_text()
        assert "/health" not in log.read_text()
    finally:
        process.terminate()
        process.wait()


def connection(url: str, *sent: bytes) -> socket.socket:
    """One that sends this and then nothing."""
    host, port = url.removeprefix("http://").split(":")
    client = socket.create_connection((host, int(port)))
    for data in sent:
        client.sendall(data)
    return client


@contextmanager
def idle(url: str, count: int) -> Iterator[None]:
    """So many connections, silent or in the middle of a head."""
    with ExitStack() as held:
        for number in range(count):
            begun = () if number % 2 else (b"POST /v1/audio/transcriptions HTTP/1.1\r\nhost: x\r\n",)
            held.enter_context(connection(url, *begun))
        yield


@pytest.mark.promise("many times as many idle connections as there are file handles: service as before")
def test_idle_connections_give_way(url: str) -> None:
    """Several times as many as there are handles."""
    with idle(url, 4 * HANDLES):
        assert httpx.get(f"{url}/v1/models").status_code == 200
        assert httpx.get(f"{url}/health").json()["status"] == "ok"


@pytest.mark.promise("2,000 idle connections with a soft limit of 1,024 file handles: service as before")
def test_the_soft_limit_is_none(samples: dict[str, Sample]) -> None:
    """The server raises it as far as it may: a recording and its stream are answered."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 3 * IDLE:
        pytest.skip(f"{hard} file handles are allowed here, to the tests, too")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], 2 * IDLE), hard))
    try:
        with (
            served(limit=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT, hard))) as server,
            server.client() as openai,
            idle(server.url, IDLE),
        ):
            create, file = openai.audio.transcriptions.create, samples["en_hello"].path
            text = create(file=file, model="whisper-1").text
            *_, done = create(file=file, model="whisper-1", stream=True)
            open_connections = server.metric("gateway_open_connections")
            assert "Traceback" not in server.log.read_text()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    assert done.type == "transcript.text.done"
    assert text == done.text == "Hello world."
    assert open_connections > IDLE


def test_when_all_are_at_work_the_probes_answer(url: str) -> None:
    """Bodies that do not come hold their places; nobody else is served, but it can be seen why."""
    head = b"POST /v1/realtime/client_secrets HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n"
    with ExitStack() as held:
        for _ in range(HANDLES // 2):
            held.enter_context(connection(url, head))
        until(lambda: httpx.get(f"{url}/v1/models").status_code == 503)
        assert 'reason="connections_full",status="503"} 0' not in httpx.get(f"{url}/metrics").text
        refused = httpx.get(f"{url}/v1/models")

        assert refused.json()["error"]["type"] == "server_error"
        assert refused.headers["retry-after"] == "1"
        assert httpx.get(f"{url}/health").status_code == 200
    until(lambda: httpx.get(f"{url}/v1/models").status_code == 200)


def test_an_upgrade_that_is_no_get_is_a_request(url: str) -> None:
    """It is answered as if it did not say so."""
    sent = {"connection": "upgrade", "upgrade": "websocket"}
    answer = httpx.post(
        f"{url}/v1/audio/transcriptions", headers=sent, data={"model": "whisper-1"}, timeout=30
    )

    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("size", [9_000, 40_000])
def test_a_websocket_with_too_long_a_query_is_refused(url: str, size: int) -> None:
    """It is answered, and its connection ends, for nobody else would end it."""
    upgrade = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version": "13",
    }
    query = f"model=whisper-1&known_speaker_references={'A' * size}"
    answer = httpx.get(f"{url}/v1/audio/transcriptions?{query}", headers=upgrade, timeout=30)

    assert answer.status_code == 400
    assert "8192" in answer.json()["error"]["message"]
    assert answer.headers["connection"] == "close"


def test_a_request_of_two_lengths_is_the_last_one(url: str) -> None:
    """What follows could be another client's, by a proxy that believes the other length."""
    heads = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n"
    two = b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    with connection(url, heads + two + heads + b"\r\n") as client, client.makefile("rb") as answer:
        client.settimeout(30)
        received = answer.read()

    assert received.count(b"HTTP/1.1 200") == 1
    assert b"connection: close" in received


HANDSHAKE = (
    b"GET /v1/realtime HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n"
)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        (b"content-length: 5\r\n\r\nhello", 400),
        (b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"x: " + b"y" * 10_000 + b"\r\n\r\n", 400),
        (b"x: y\r\n" * 200 + b"\r\n", 400),
        (b"x: \x01\r\n\r\n", 400),
        (b"content-length: 0\r\n\r\n", 101),
    ],
    ids=["body", "chunks", "long", "many", "control", "no body"],
)
def test_every_handshake_is_answered(url: str, more: bytes, status: int) -> None:
    """Also one whose head the WebSocket's own parser does not take: its connection would stay for good."""
    with connection(url, HANDSHAKE + more) as client:
        client.settimeout(30)
        answer = client.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 %d " % status)


def test_text_that_is_none(url: str) -> None:
    """It closes its connection with 1007, and leaves no traceback in the log, which `url` looks at."""
    with connect(f"{url.replace('http', 'ws')}/v1/realtime") as client:
        client.recv()
        client.send(b"\xff\xfe", text=True)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv()

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == CloseCode.INVALID_DATA


def test_pages_of_other_sites_are_refused(url: str) -> None:
    """A server without keys is driven by no web page."""
    foreign = httpx.get(f"{url}/v1/models", headers={"origin": "https://evil.example"})
    rebound = httpx.get(f"{url}/v1/models", headers={"host": "evil.example:8000"})

    assert (foreign.status_code, rebound.status_code) == (403, 403)


def test_the_log_is_ours(url: str, tmp_path: Path) -> None:
    """Uvicorn's access log, which shows queries, is off; see `tests.test_logs` for the rest."""
    assert httpx.get(f"{url}/v1/models?api_key=sk-secret").status_code == 200


@pytest.mark.promise("out of file handles: /health answers, a dead worker is replaced, the log says it once")
def test_out_of_handles(samples: dict[str, Sample]) -> None:
    """Not one more can be opened: what was kept back does for a worker's pipes and for probes."""
    with served() as server, server.client() as client:
        pid, worker = server.pids
        taken = {int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()}
        first_free = next(number for number in range(len(taken) + 1) if number not in taken)
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (first_free, hard))
        os.kill(worker, signal.SIGKILL)
        until(lambda: worker not in server.pids)
        until(lambda: server.health()["status"] == "ok" and len(server.pids) > 1)
        log = server.log.read_text()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        text = client.audio.transcriptions.create(file=samples["en_hello"].path, model="whisper-1").text

    assert log.count("out of file handles") == 1
    assert "Traceback" not in log
    assert text == "Hello world."
