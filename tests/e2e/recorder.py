"""A client that writes down all that a server says to it, and recordings as the samples it sends.

Nothing of the gateway is imported here or in `sessions`, so the same scripts can record any version of it.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import av
import httpx
import numpy as np
import pytest
from av.audio.resampler import AudioResampler
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.connection import Connection

WAIT_SECONDS = 60.0

_VOLATILE_HEADERS = {"date", "openai-processing-ms", "server"}
_VOLATILE = (
    (re.compile(r"ek_[\w.=-]+"), "ek_…"),
    (re.compile(r'("(?:expires_at|created)": ?)\d+'), r"\1…"),
    (re.compile(r'("resume":\{"token":")[^"]+'), r"\1…"),
    (re.compile(r'("version": ?")[^"]+'), r"\1…"),
    (re.compile(r'("vad": ?")[^"]+'), r"\1…"),
    # By who asked the shared server before.
    (re.compile(r'("speakers": ?")(?:unused|fetching|ready|failed)(?=")'), r"\1…"),
)
_ID = re.compile(r"\b(event|item|sess|req)_[0-9a-f]{24,32}\b")


@dataclass
class Log:
    """What was sent, in words, and what came, to the letter but for ids and times.

    Attributes:
        url: Of the server that the session is with.
        lines: One for each frame or answer.
    """

    url: str
    lines: list[list[str]] = field(default_factory=list)
    _ids: dict[str, str] = field(default_factory=dict)

    def sent(self, what: str) -> None:
        """This was done next."""
        self.lines.append([">", what])

    def came(self, kind: str, text: str) -> None:
        """This came next."""
        for volatile, instead in _VOLATILE:
            text = volatile.sub(instead, text)
        self.lines.append(["<", kind, _ID.sub(self._number, text)])

    def _number(self, match: re.Match[str]) -> str:
        """Ids by their order, so that one still means one thing."""
        if match[1] in {"event", "req"}:
            return f"{match[1]}_…"
        return self._ids.setdefault(match[0], f"{match[1]}_{len(self._ids)}")

    def request(self, method: str, path: str, note: str = "", **options: Any) -> httpx.Response:
        """One request and its answer."""
        self.sent(f"{method} {path} {note}".rstrip())
        answer = httpx.request(method, self.url + path, timeout=WAIT_SECONDS, **options)
        self.came("status", str(answer.status_code))
        # Signatures and versions are not of one length.
        has_secrets = "ek_" in answer.text or path in {"/health", "/ready"}
        for name, value in sorted(answer.headers.items()):
            if name == "allow":
                # Of a set, whose order is another in each process.
                value = ", ".join(sorted(value.split(", ")))  # noqa: PLW2901
            if name not in _VOLATILE_HEADERS:
                self.came(name, "…" if name == "content-length" and has_secrets else value)
        self.came("body", answer.text)
        return answer

    def post(self, path: str = "transcriptions", file: bytes | None = b"", **fields: Any) -> None:
        """A form, its file last; the file's bytes are called by their number alone."""
        headers = fields.pop("headers", {})
        note = " ".join(f"{name}={value}" for name, value in fields.items())
        files = {"nothing": ("", b"")} if file is None else {"file": ("audio", file)}
        size = "" if file is None else f"file={len(file)} bytes"
        self.request(
            "POST", f"/v1/audio/{path}", f"{note} {size}".strip(), data=fields, files=files, headers=headers
        )

    @contextmanager
    def websocket(self, path: str, query: Mapping[str, Any], **options: Any) -> Iterator["Socket"]:
        """An open WebSocket."""
        target = f"{path}?{urlencode(query, doseq=True)}" if query else path
        self.sent(f"connect {target}")
        address = self.url.replace("http", "ws", 1) + target
        with connect(address, open_timeout=WAIT_SECONDS, max_size=None, **options) as connection:
            assert connection.response is not None
            for name in ("x-request-id", "sec-websocket-protocol", "sec-websocket-extensions"):
                if name in connection.response.headers:
                    self.came(name, connection.response.headers[name])
            yield Socket(self, connection)


@dataclass
class Socket:
    """One WebSocket of a `Log`."""

    log: Log
    connection: Connection

    def send(self, frame: str | bytes, note: str | None = None) -> None:
        """One frame, as text or bytes."""
        shown = frame if isinstance(frame, str) else f"{len(frame)} bytes"
        self.log.sent(note or shown)
        self.connection.send(frame)

    def event(self, kind: str, **fields: Any) -> None:
        """One client event."""
        self.send(json.dumps({"type": kind, **fields}))

    def append(self, audio: bytes, sizes: Sequence[int] = (24_000,)) -> None:
        """Audio in appends of these sizes, in turn."""
        self.log.sent(f"append {len(audio)} bytes, {sizes} at a time")
        for part in slices(audio, sizes):
            text = base64.b64encode(part).decode()
            self.connection.send(json.dumps({"type": "input_audio_buffer.append", "audio": text}))

    def receive(self) -> str:
        """The next frame."""
        frame = self.connection.recv(timeout=WAIT_SECONDS)
        self.log.came("text" if isinstance(frame, str) else "bytes", str(frame))
        return str(frame)

    def until(self, kind: str, count: int = 1) -> None:
        """The next events, until ``count`` of this type came."""
        while count:
            count -= json.loads(self.receive())["type"].endswith(kind)

    def update(self, **given: Any) -> None:
        """New settings for the audio's input, and the answer."""
        self.event("session.update", session={"type": "transcription", "audio": {"input": given}})
        self.receive()

    def ended(self) -> None:
        """All frames until the server closes, and how it does."""
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                self.receive()
        assert caught.value.rcvd is not None
        self.log.came("close", f"{caught.value.rcvd.code} {caught.value.rcvd.reason}")


def slices(data: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    """The data in slices of these sizes, in turn."""
    start = 0
    while start < len(data):
        for size in sizes:
            if start < len(data):
                yield data[start : start + size]
            start += size


@cache
def pcm(path: Path, rate: int, silence: float = 0.0) -> bytes:
    """A recording as bare samples, with seconds of silence after it."""
    resampler = AudioResampler("s16", "mono", rate)
    with av.open(str(path)) as container:
        frames = [each for frame in container.decode(audio=0) for each in resampler.resample(frame)]
        frames += resampler.resample(None)
    return b"".join(frame.to_ndarray().astype("<i2").tobytes() for frame in frames) + quiet(rate, silence)


def quiet(rate: int, seconds: float) -> bytes:
    """Silence."""
    return bytes(round(rate * seconds) * 2)


@cache
def mulaw(path: Path, silence: float) -> bytes:
    """A recording in G.711, by its table's formula."""
    samples = np.frombuffer(pcm(path, 8_000), dtype="<i2").astype(np.int32)
    magnitude = np.minimum(np.abs(samples), 32_635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    coded = ~(np.where(samples < 0, 0x80, 0) | (exponent << 4) | mantissa) & 0xFF
    return bytes(coded.astype(np.uint8)) + b"\xff" * round(8_000 * silence)


def wave(samples: bytes, rate: int) -> bytes:
    """Bare samples as a WAV file."""
    header = b"fmt " + (16).to_bytes(4, "little") + (1).to_bytes(2, "little") * 2
    header += rate.to_bytes(4, "little") + (2 * rate).to_bytes(4, "little") + b"\x02\x00\x10\x00"
    data = b"data" + len(samples).to_bytes(4, "little") + samples
    return b"RIFF" + (4 + len(header) + len(data)).to_bytes(4, "little") + b"WAVE" + header + data
