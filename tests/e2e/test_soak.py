"""Hours of use leave nothing behind: handles and threads are as many as before, memory does not grow.

``SOAK_ROUNDS=1500 pytest tests/e2e/test_soak.py`` is some half an hour on two busy cores.
"""

import gc
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from openai import OpenAI

from gateway import allocator
from gateway.engine.whisper.engine import WhisperSpec
from tests.e2e.resuming import Client
from tests.e2e.speaker import speech
from tests.support import LiveServer, Sample, live_server, until

ROUNDS = int(os.environ.get("SOAK_ROUNDS", "6"))

MEGABYTES_A_ROUND = 2.0
"""What allocators do within a few rounds; over many, the slope is what counts."""

MEGABYTES_A_MINUTE = 1.0


MOST_POOLED = 40
"""AnyIO's own limit, which what has a limit of its own would leave behind if it leaked."""

POOLED = "AnyIO worker thread"
"""They come with what is done at the same time, and go when one of them is idle for long."""


def _handles(server: LiveServer) -> int:
    """Of server and tests; those of connections that are still closing are waited for."""
    connections = server.gateway.metrics.registry.get_sample_value
    until(lambda: connections("gateway_open_connections") == 0)
    return len(list(Path("/proc/self/fd").iterdir()))


def _threads(*, pooled: bool = False) -> int:
    return sum((thread.name == POOLED) is pooled for thread in threading.enumerate())


def _megabytes() -> float:
    gc.collect()
    allocator.trim()  # what is free is no leak: a server gives it back, too
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _round(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Files, streams, live sessions, and those that leave, drop or send what is no audio."""
    sample = samples["en_hello"]
    # A client of its own: what one keeps open for its next request is no leak of the server's.
    with OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as client:
        create = client.audio.transcriptions.create
        create(file=sample.path, model="whisper-1")
        list(create(file=sample.path, model="whisper-1", stream=True))
        with create(file=samples["en_long"].path, model="whisper-1", stream=True) as stream:
            next(iter(stream))
    assert server.post(model="whisper-1", file=("a.wav", b"RIFF" + bytes(5_000))).status_code == 400
    audio = speech(sample.path)
    Client(server, audio).finish()
    back = Client(server, audio)
    back.say(10)
    back.drop()
    back.connect()
    back.finish()
    until(lambda: not (server.metric("gateway_live_sessions") or server.metric("gateway_open_streams")))


@pytest.mark.promise("use leaves nothing behind: handles, threads and memory stay as they were")
@pytest.mark.timeout(120 + 20 * ROUNDS)
def test_nothing_is_left_behind(
    quick_whisper: WhisperSpec, samples: dict[str, Sample], record_property: Callable[[str, object], None]
) -> None:
    """After the rounds that fill caches and pools, each further one costs nothing."""
    with live_server([quick_whisper]) as server:
        for _ in range(3):
            _round(server, samples)
        until(lambda: server.metric("gateway_running_rows") == 0)
        began, handles, threads, memory = time.monotonic(), _handles(server), _threads(), _megabytes()
        for _ in range(ROUNDS):
            _round(server, samples)
        minutes = (time.monotonic() - began) / 60
        until(lambda: _handles(server) <= handles)
        until(lambda: _threads() <= threads)
        grown = _megabytes() - memory
        assert _threads(pooled=True) <= MOST_POOLED
    measured = f"{ROUNDS} rounds, {minutes:.1f} min: {handles} handles, {threads} threads, {grown:+.1f} MB"
    record_property("figure", measured)

    assert grown < max(MEGABYTES_A_MINUTE * minutes, MEGABYTES_A_ROUND * min(ROUNDS, 20))
