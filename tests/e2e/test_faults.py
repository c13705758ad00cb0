"""Workers that are killed while they decode cost time, and nothing else: no word, no request, no stream."""

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest

from gateway.engine.whisper.engine import WhisperSpec
from tests.support import LiveServer, Sample, live_server, until

KILLS = 20
CLIENTS = 4


def _workers() -> list[int]:
    """The worker processes of this process' servers."""
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        found += [int(pid) for pid in _read(task / "children").split()]
    return [pid for pid in found if b"gateway.engine.worker" in _read(Path(f"/proc/{pid}/cmdline"))]


def _read(path: Path) -> bytes:
    """Nothing where its thread or process has ended since it was listed, as some always do in this test."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _transcribe(server: LiveServer, sample: Sample) -> str:
    """One streamed transcript, checked as a client would see it."""
    events = list(
        server.openai.with_options(timeout=300).audio.transcriptions.create(
            file=sample.path, model="whisper-1", stream=True, include=["logprobs"]
        )
    )
    done = events[-1]
    assert done.type == "transcript.text.done"
    assert "".join(event.delta for event in events if event.type == "transcript.text.delta") == done.text
    return done.text


def _kill_workers(server: LiveServer, others: set[int], enough: threading.Event) -> None:
    """Kills a worker at a random moment after a row was decoded since the last kill, again and again.

    A slow machine's rows would otherwise be killed until they are given up.
    """
    dice = random.Random(0)
    pause = threading.Event()
    for _ in range(KILLS):
        until(partial(_is_beyond, server, server.metric("gateway_decoded_rows_total")))
        pause.wait(dice.uniform(0, 0.4))
        try:
            os.kill(dice.choice(sorted(set(_workers()) - others)), signal.SIGKILL)
        except (ProcessLookupError, IndexError):
            continue
    enough.set()


def _is_beyond(server: LiveServer, rows: float) -> bool:
    return server.metric("gateway_decoded_rows_total") > rows


@pytest.mark.timeout(300)
def test_killed_workers_cost_no_word(mini_whisper: WhisperSpec, samples: dict[str, Sample]) -> None:
    """Twenty kills during concurrent streams: every transcript is that of an undisturbed server."""
    names = ["en_long", "en_heldout_voice", "de_zahlen", "en_dialogue"]
    others = set(_workers())
    with live_server([mini_whisper], workers=2) as server:
        undisturbed = {name: _transcribe(server, samples[name]) for name in names}
        enough = threading.Event()

        def client(name: str) -> set[str]:
            texts = {_transcribe(server, samples[name])}
            while not enough.is_set():
                texts.add(_transcribe(server, samples[name]))
            return texts

        with ThreadPoolExecutor(CLIENTS + 1) as threads:
            killer = threads.submit(_kill_workers, server, others, enough)
            results = {name: threads.submit(client, name) for name in names}
            killer.result()
            heard = {name: result.result() for name, result in results.items()}

    assert heard == {name: {text} for name, text in undisturbed.items()}
    assert set(_workers()) <= others


ROW_DEADLINE = 2.0


@pytest.mark.parametrize("is_busy", [True, False])
def test_a_stopped_worker_is_told_and_replaced(
    quick_whisper: WhisperSpec, samples: dict[str, Sample], *, is_busy: bool
) -> None:
    """`/ready` and `/health` know of it within the deadline, and whoever waits gets all words."""
    others = set(_workers())
    with live_server([quick_whisper], row_timeout=ROW_DEADLINE) as server:
        undisturbed = _transcribe(server, samples["en_long"])
        [worker] = set(_workers()) - others
        with ThreadPoolExecutor(1) as threads:
            os.kill(worker, signal.SIGSTOP)
            began = time.monotonic()
            answer = threads.submit(_transcribe, server, samples["en_long"]) if is_busy else None
            until(lambda: httpx.get(f"{server.url}/ready").status_code == 503)
            noticed = time.monotonic() - began
            health = httpx.get(f"{server.url}/health").json()
            until(lambda: httpx.get(f"{server.url}/ready").status_code == 200)
            again = answer.result() if answer else _transcribe(server, samples["en_long"])

    # A busy machine may take longer, but not so long as a deadline that grows with the audio.
    assert noticed < 5 * ROW_DEADLINE
    assert health["models"]["mini-whisper"]["workers"][0]["state"] in {"restarting", "starting"}
    assert again == undisturbed
