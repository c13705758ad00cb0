"""Clients that take whatever they can get do not take it from others, on a real server in its own process."""

import base64
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.app import WAITING_SHARE
from tests.e2e.resuming import FRAME_BYTES, Client
from tests.e2e.speaker import speech
from tests.support import Sample, served, until

pytestmark = pytest.mark.slow

GREEDY = int(os.environ.get("GREEDY", "10"))
MEGABYTES = 1_500
"""The container that they killed once, with its worker."""

CONTROLLERS = {
    Path("/sys/fs/cgroup/memory"): "memory.limit_in_bytes",
    Path("/sys/fs/cgroup"): "memory.max",
}
"""Control groups of memory, versions 1 and 2, and where their limit stands."""

HEAD = """GET /v1/realtime?intent=transcription HTTP/1.1
Host: localhost
X-Forwarded-For: 10.0.0.{}
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==

""".replace("\n", "\r\n")

PIECE = 1 << 18

ROUNDS = 3

FRAMES = 8
"""Of the longest kind, by each: 2.4 GB of audio together, if it were taken."""


def _frame(audio: bytes) -> bytes:
    """The longest append as it goes over the wire, masked with zeros."""
    text = base64.b64encode((audio * (15 * 1024 * 1024 // len(audio) + 1))[: 15 * 1024 * 1024])
    payload = b'{"type":"input_audio_buffer.append","audio":"' + text + b'"}'
    return struct.pack("!BBQ", 0x81, 0x80 | 127, len(payload)) + bytes(4) + payload


def _greedy(url: str, number: int, frame: bytes, together: threading.Barrier, stop: threading.Event) -> None:
    """A live client that sends as fast as it can, and reads nothing; comes again when it is thrown out."""
    address = urlsplit(url)
    while not stop.is_set():
        with suppress(OSError), socket.create_connection((address.hostname, address.port), 20) as client:
            client.sendall(HEAD.format(number).encode())
            client.recv(100)
            with suppress(threading.BrokenBarrierError):
                together.wait(10)
            client.settimeout(1)
            for at in range(0, FRAMES * len(frame), PIECE):
                if stop.is_set():
                    return
                client.sendall(frame[at % len(frame) :][:PIECE])


def _new_group(megabytes: int) -> Path | None:
    """A control group of so much memory; None where none may be made."""
    for parent, limit in CONTROLLERS.items():
        group = parent / f"gateway-tests-{os.getpid()}"
        with suppress(OSError):
            group.mkdir()
            try:
                (group / limit).write_text(str(megabytes * 1_000_000))
            except OSError:
                group.rmdir()
                raise
            return group
    return None


@contextmanager
def container(megabytes: int) -> Iterator[Callable[[], None] | None]:
    """What puts a new process into a control group of so much memory; None where none may be made."""
    group = _new_group(megabytes)
    if group is None:
        yield None
        return
    members = group / "cgroup.procs"

    def enter() -> None:
        members.write_text(str(os.getpid()))

    try:
        yield enter
    finally:
        until(lambda: not members.read_text())
        group.rmdir()


@pytest.mark.timeout(400)
@pytest.mark.promise("greedy live clients cost a bystander no word, and memory no more than a container has")
def test_greedy_clients_leave_others_alone(
    samples: dict[str, Sample], record_property: Callable[[str, object], None]
) -> None:
    """They are slowed or refused; who speaks, and who uploads, is served as before."""
    sample = samples["en_hello"]
    frame = _frame(speech(sample.path))
    together, stop = threading.Barrier(GREEDY), threading.Event()
    uploaded = []
    # A container's share of its memory.
    waiting = str(MEGABYTES * 1_000_000 // WAITING_SHARE)
    with (
        container(MEGABYTES) as limit,
        served(limit=limit, GATEWAY_MAX_WAITING_TOTAL=waiting) as server,
        server.client() as openai,
    ):
        bystander = Client(server, speech(sample.path) * ROUNDS)
        before = server.megabytes()
        with ThreadPoolExecutor(GREEDY) as threads:
            for number in range(GREEDY):
                threads.submit(_greedy, server.url, number, frame, together, stop)
            try:
                for said in range(1, ROUNDS + 1):
                    answer = openai.audio.transcriptions.create(file=sample.path, model="whisper-1")
                    uploaded.append(answer.text)
                    bystander.say(len(speech(sample.path)) // FRAME_BYTES + 1)
                    bystander.until_items(said)
            finally:
                stop.set()
        bystander.finish()
        peak = server.peak_megabytes()
        log = server.log.read_text()
    where = f"in a control group of {MEGABYTES} MB" if limit else "in no control group"
    record_property("figure", f"{GREEDY} clients {where}: {before:.0f} MB before, {peak:.0f} MB at most")

    assert uploaded == bystander.texts == ["Hello world."] * ROUNDS
    assert peak < MEGABYTES
    assert "Traceback" not in log
