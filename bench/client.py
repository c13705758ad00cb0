"""A client that reads while it writes, as neither curl nor the SDKs do, and notes when things happen."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio.abc import SocketStream

from gateway.aio import open_task_group

BLOCK = 64 * 1024

_PART = "--bench\r\nContent-Disposition: form-data; name="
_FIELDS = {"model": "whisper-1", "language": "en", "stream": "true"}
_HEAD = "".join(f'{_PART}"{name}"\r\n\r\n{value}\r\n' for name, value in _FIELDS.items()).encode()
_HEAD += f'{_PART}"file"; filename="a.ogg"\r\n\r\n'.encode()
_TAIL = b"\r\n--bench--\r\n"


class RefusedError(RuntimeError):
    """The answer is not the whole event stream of a transcription."""


@dataclass(slots=True)
class Reply:
    """When what happened, on the clock of `time.perf_counter`.

    Attributes:
        first_byte: Of the file, about to be sent.
        last_byte: Of the request, handed to the kernel.
        sent: Bytes of the file, so far.
        sent_first: As many when the first delta came.
        deltas: One for each.
        event: The last one's data.
        done: The end of the answer; 0 where it was not waited for.
    """

    size: int
    first_byte: float = 0.0
    last_byte: float = 0.0
    sent: int = 0
    sent_first: int = 0
    deltas: list[float] = field(default_factory=list)
    event: bytes = b""
    done: float = 0.0

    @property
    def first_delta(self) -> float:
        """Seconds from the file's first byte."""
        return self.deltas[0] - self.first_byte

    @property
    def seconds(self) -> float:
        """From the file's first byte to the end of the answer."""
        return self.done - self.first_byte


async def transcribe(port: int, path: Path, *, seconds: float = 0.0, leave_after: int | None = None) -> Reply:
    """Sends a file and reads its event stream.

    Args:
        seconds: How long the sending takes, evenly; 0 is as fast as it goes.
        leave_after: Hangs up after so many deltas.

    Raises:
        RefusedError: The answer is not the whole event stream of a transcription.
    """
    reply = Reply(path.stat().st_size)  # noqa: ASYNC240 - a local file
    async with await anyio.connect_tcp("127.0.0.1", port) as stream, open_task_group() as tasks:
        tasks.start_soon(_write, stream, path, seconds, reply)
        await _read(stream, reply, leave_after)
        tasks.cancel_scope.cancel()
    return reply


async def _write(stream: SocketStream, path: Path, seconds: float, reply: Reply) -> None:
    length = len(_HEAD) + reply.size + len(_TAIL)
    request = (
        "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary=bench\r\nContent-Length: {length}\r\n\r\n"
    )
    await stream.send(request.encode() + _HEAD)
    reply.first_byte = time.perf_counter()
    # Ten pieces a second where the sending is paced.
    block = max(1, round(reply.size / seconds / 10)) if seconds else BLOCK
    with path.open("rb") as file:
        while data := file.read(block):
            await stream.send(data)
            reply.sent += len(data)
            if seconds:
                due = reply.first_byte + reply.sent / reply.size * seconds
                await anyio.sleep(max(0.0, due - time.perf_counter()))
    await stream.send(_TAIL)
    reply.last_byte = time.perf_counter()


async def _read(stream: SocketStream, reply: Reply, leave_after: int | None) -> None:
    rest, status = b"", b""
    try:
        while True:
            # The server sends each event as one piece, so no event is cut by the transfer coding.
            *lines, rest = (rest + await stream.receive()).split(b"\n")
            now = time.perf_counter()
            status = status or lines[0]
            for line in lines:
                if line.startswith(b"data: {"):
                    reply.event = line
                if b'"transcript.text.delta"' in line:
                    reply.sent_first = reply.sent_first or reply.sent
                    reply.deltas.append(now)
                if b"[DONE]" in line:
                    reply.done = now
            if reply.done or (leave_after and len(reply.deltas) >= leave_after):
                return
    except anyio.EndOfStream:
        raise RefusedError(f"no whole answer: {status!r} … {rest[-200:]!r}") from None
