"""An HTTP server standing in for the hub: it serves the miniature Whisper under the name of `base`."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from gateway.models.hub import WHISPER_REPOS
from tests.support import MODEL

BASE = WHISPER_REPOS["base"]
COMMIT = "c0ffee" * 6 + "c0ff"


@dataclass
class HubServer:
    """The running server.

    Attributes:
        asked: The paths that it was asked for.
        resumed_at: From which byte on files were asked for that had been fetched in part.
        most_bytes: Of a file; an answer breaks off there. None sends all.
    """

    endpoint: str = ""
    asked: list[str] = field(default_factory=list)
    resumed_at: list[int] = field(default_factory=list)
    most_bytes: int | None = None


@contextmanager
def hub_server(asked: list[str] | None = None) -> Iterator[HubServer]:
    """Serves until the context is left."""
    hub = HubServer(asked=[] if asked is None else asked)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, hub))
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """Serves the miniature, as far as `model_info` and `snapshot_download` ask.

    ``org/weights`` is the same without its model.bin; ``org/broken`` lists files that it then has not.
    """

    protocol_version = "HTTP/1.1"

    def __init__(self, hub: "HubServer", *args: object) -> None:
        self.hub = hub
        super().__init__(*args)  # type: ignore[arg-type]  # socketserver's three

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class calls it so
        """Quiet."""

    def do_GET(self) -> None:
        """Files, and the API's two questions."""
        path = urlsplit(self.path).path
        self.hub.asked.append(path)
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._api("/".join(parts[2:4]), parts[4:])
        elif "/".join(parts[:2]) == BASE and parts[2:4] == ["resolve", COMMIT]:
            self._send((MODEL / parts[4]).read_bytes(), {"X-Repo-Commit": COMMIT})
        else:
            self._refuse(404)

    do_HEAD = do_GET  # noqa: N815  # http.server's names

    def _api(self, repo: str, rest: list[str]) -> None:
        if repo == "org/down":
            self._refuse(503)
        elif repo == "org/portal":
            self._send(b"<html>Please log in</html>", {})
        elif repo not in (BASE, "org/weights", "org/broken"):
            self._refuse(404, {"X-Error-Code": "RepoNotFound"})
        else:
            files = [
                path for path in sorted(MODEL.iterdir()) if repo != "org/weights" or path.suffix != ".bin"
            ]
            if rest[:1] == ["tree"]:
                answer: object = [
                    {"type": "file", "path": f.name, "size": f.stat().st_size, "oid": "0" * 40} for f in files
                ]
            else:
                answer = {
                    "id": repo,
                    "sha": COMMIT,
                    "siblings": [{"rfilename": path.name} for path in files],
                }
            self._send(json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _send(self, body: bytes, headers: dict[str, str]) -> None:
        most = self.hub.most_bytes
        etag = hashlib.sha256(body).hexdigest()
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if start else 200)
        if start:
            self.hub.resumed_at.append(start)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            body = body[start:]
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{etag}"')
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body if most is None else body[: max(0, most - start)])
            self.close_connection = most is not None

    def _refuse(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
