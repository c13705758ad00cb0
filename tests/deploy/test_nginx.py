"""nginx with the site of `deploy/nginx.conf` before a real server: nothing is held up on either way."""

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import unix_connect

from tests.support import LiveServer, Sample, until

NGINX = shutil.which("nginx")
SITE = Path(__file__).resolve().parents[2] / "deploy" / "nginx.conf"
BOUNDARY = "proxied"

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@pytest.fixture(scope="module")
def proxy(server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """nginx, without TLS and on a socket of its own; its path."""
    folder = tmp_path_factory.mktemp("nginx")
    address = str(folder / "socket")
    site = SITE.read_text().replace("listen 443 ssl;", f"listen unix:{address};")
    site = re.sub(r"^ *ssl_.*$", "", site, flags=re.MULTILINE)
    site = site.replace("http://127.0.0.1:8000", server.url)
    paths = "".join(
        f"{kind}_temp_path {folder};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi", "client_body")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; pid {folder}/pid; error_log stderr error; events {{}}\n"
        f"http {{ access_log off; {paths}\n{site}\n}}\n"
    )
    process = subprocess.Popen([str(NGINX), "-c", str(config), "-p", str(folder)])
    try:
        until(lambda: Path(address).exists() or process.poll() is not None)
        yield address
    finally:
        process.terminate()
        process.wait()


def test_large_uploads_are_refused_by_the_gateway(proxy: str) -> None:
    """In its own envelope, not by the proxy's page."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=proxy), base_url="http://gateway") as client:
        form = {"file": bytes(25 * 1024 * 1024 + 1)}
        answer = client.post("/v1/audio/transcriptions", data={"model": "whisper-1"}, files=form, timeout=120)

    assert (answer.status_code, answer.json()["error"]["param"]) == (413, "file")


def test_words_come_before_the_file_is_sent(proxy: str, samples: dict[str, Sample]) -> None:
    """Neither the request nor the answer waits for its end."""
    fields = {"model": "whisper-1", "stream": "true"}
    head = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    head += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body = head.encode() + samples["en_long"].path.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()
    third = len(body) // 3
    request = (
        "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.connect(proxy)
        connection.sendall(request.encode() + body[:third])
        answer = connection.makefile("rb")
        first = next(line for line in answer if line.startswith(b"data: "))
        connection.sendall(body[third:])
        last = [line for line in answer if line.startswith(b"data: ")][-1]

    assert json.loads(first.removeprefix(b"data: "))["type"] == "transcript.text.delta"
    assert last == b"data: [DONE]\n"


def test_a_websocket_is_passed_on(proxy: str) -> None:
    """A live session opens behind it."""
    with unix_connect(proxy, "ws://gateway/v1/realtime?intent=transcription") as websocket:
        created = json.loads(websocket.recv(timeout=120))

    assert created["type"] == "session.created"
