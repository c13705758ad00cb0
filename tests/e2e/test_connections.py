"""Whoever holds connections keeps nobody out, on a real server with few file handles."""

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.support import MODEL, Sample, served, until

pytestmark = pytest.mark.slow

HANDLES = 256
"""Few enough that idle connections would take them all, were they let."""


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


def test_idle_connections_give_way(url: str) -> None:
    """Several times as many as there are handles, silent or in the middle of a head: service as before."""
    with ExitStack() as held:
        for number in range(4 * HANDLES):
            begun = () if number % 2 else (b"POST /v1/audio/transcriptions HTTP/1.1\r\nhost: x\r\n",)
            held.enter_context(connection(url, *begun))

        assert httpx.get(f"{url}/v1/models").status_code == 200
        assert httpx.get(f"{url}/health").json()["status"] == "ok"


def test_when_all_are_at_work_the_probes_answer(url: str) -> None:
    """Bodies that do not come hold their places; nobody else is served, but it can be seen why."""
    head = b"POST /v1/realtime/client_secrets HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n"
    with ExitStack() as held:
        for _ in range(HANDLES // 2):
            held.enter_context(connection(url, head))
        until(lambda: httpx.get(f"{url}/v1/models").status_code == 503)
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
