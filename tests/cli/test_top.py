"""`gateway top` tells how servers are, to people and programs, and says plainly where one cannot be asked."""

import json
import math
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prometheus_client import generate_latest
from rich.console import Console

from gateway.cli.top_loop import Looks
from gateway.cli.top_reading import Reading, address, parse, quantile, read, since
from gateway.cli.top_screen import picture
from gateway.cli.top_view import view
from gateway.metrics import Metrics
from tests.cli.conftest import Run
from tests.support import LiveServer, Sample

HEALTH = {
    "status": "ok",
    "version": "1.2.3",
    "models": {"m": {"state": "ready", "detail": None, "workers": [{"state": "busy", "reason": None}]}},
}


def reading(metrics: Metrics, at: float = 0.0, health: object = HEALTH) -> Reading:
    """What a server with these would answer."""
    return parse("http://server", at, generate_latest(metrics.registry).decode(), json.dumps(health))


def shown(*readings: Reading) -> str:
    """The picture of a server read so, 80 columns wide."""
    console = Console(width=80, force_terminal=False, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    with console.file:
        console.print(picture([view(*reversed(readings))]))
    return console.export_text()


@pytest.mark.parametrize(
    ("counts", "share", "value"),
    [
        ({1.0: 0, 2.0: 10, math.inf: 10}, 0.5, 1.5),
        ({1.0: 5, 2.0: 10, math.inf: 10}, 0.5, 1.0),
        ({1.0: 10, math.inf: 10}, 0.95, 0.95),
        ({1.0: 1, math.inf: 10}, 0.5, math.inf),
        ({1.0: 0, math.inf: 0}, 0.5, None),
        ({}, 0.5, None),
    ],
)
def test_quantiles_are_those_of_prometheus(
    counts: dict[float, float], share: float, value: float | None
) -> None:
    """Linear within a bucket; beyond the last one nobody knows."""
    assert quantile(share, counts) == value


def test_a_server_that_began_anew_has_counted_all_of_it_since() -> None:
    """Else there would be fewer than none."""
    assert since({"a": 5.0, "b": 2.0}, {"a": 3.0}) == {"a": 2.0, "b": 2.0}
    assert since({"a": 5.0, "b": 2.0}, {"a": 9.0, "b": 1.0}) == {"a": 5.0, "b": 2.0}


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("host:8000", "http://host:8000"),
        ("https://host/", "https://host"),
        ("http://host:1/v1", "http://host:1"),
        ("http://host/gateway/v1/", "http://host/gateway"),
    ],
)
def test_addresses_as_people_write_them(given: str, url: str) -> None:
    """With or without a scheme, or as OpenAI's clients have them."""
    assert address(given) == url


def test_a_view_is_of_its_window() -> None:
    """What happened before it is not told; gauges are as they are."""
    metrics = Metrics()
    metrics.refusals.labels("429", "queue_full").inc(7)
    metrics.speech_end_to_final_seconds.observe(20)
    metrics.audio_seconds.inc(100)
    before = reading(metrics, at=100.0)
    metrics.refusals.labels("429", "client_sessions").inc(2)
    metrics.speech_end_to_final_seconds.observe(0.3)
    metrics.audio_seconds.inc(30)
    metrics.live_sessions.set(3)
    metrics.max_sessions.set(4)
    seen = view(reading(metrics, at=110.0), before)

    assert seen.refusals == {"client_sessions": 2}
    assert seen.latency["end of speech to final"].count == 1
    assert seen.latency["end of speech to final"].p95 == pytest.approx(0.49, abs=0.02)
    assert seen.rates["audio_seconds"] == 3.0
    assert (seen.open["sessions"], seen.limits["sessions"]) == (3, 4)
    assert seen.workers == {"m": ["busy"]}


def test_the_picture_fits_a_terminal() -> None:
    """80 columns, whatever there is to tell, and each of an operator's questions has its line."""
    metrics = Metrics()
    for name in ("queue_full", "client_requests", "finals_late", "not_read", "invalid_audio", "streams_full"):
        metrics.refusals.labels("429", name).inc(1000)
    for name in ("live_final", "live_partial", "file"):
        metrics.queue_rows.labels("a-long-name-of-a-model", name).set(123456)
        metrics.queue_seconds.labels("a-long-name-of-a-model", name).observe(1234)
    for endpoint in ("/v1/audio/transcriptions", "/v1/realtime/transcription_sessions", "/v1/models"):
        metrics.request_seconds.labels(endpoint).observe(20)
    metrics.live_waiting_bytes.set(500 * 2**20)
    metrics.live_waiting_limit.set(512 * 2**20)
    states = [{"state": "restarting", "reason": "hung"}] * 3
    health = {**HEALTH, "models": {"a-long-name-of-a-model": {"state": "ready", "workers": states}}}
    text = shown(reading(metrics, health=health))

    assert max(map(len, text.splitlines())) <= 80
    for word in ("sessions", "queue", "refused", "queue_full 1000", "slowest", "p95", "restarting (hung)"):
        assert word in text, word
    assert "beyond" in text


@pytest.fixture
def answering() -> Iterator[Callable[[int, bytes], str]]:
    """Servers that answer one thing, whatever is asked; gives their address."""
    servers = []

    def serve(status: int, body: bytes) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.05,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_address[1]}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, b"", "it answers 401: it asks for a key"),
        (502, b"", "it answers 502"),
        (200, b"<html>", "not a gateway"),
        (200, b"\xff\x00 1\n", "not a gateway"),
        (200, b"up 1\n", "not a gateway"),
    ],
)
def test_what_is_no_gateway_is_told(
    answering: Callable[[int, bytes], str], status: int, body: bytes, told: str
) -> None:
    """In a few words, without a traceback."""
    assert told in str(read(answering(status, body), None).error)


def test_where_nobody_answers() -> None:
    """A port that is closed, an address that is none, a scheme that nobody speaks."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]

    assert read(f"127.0.0.1:{port}", None).error == "nothing listens there"
    assert read("ftp://127.0.0.1", None).error == "an address begins with http:// or https://"
    assert read("http://[::1", None).error


def test_a_running_server(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Two looks at it: what was done between them is told."""
    looks = Looks([server.url], "sk-unused", window=60.0)
    looks.look()
    server.post(model="gpt-4o-transcribe", file=("a.flac", samples["en_hello"].path.read_bytes()))
    server.post(model="no-such-model", file=("a.flac", b"x"))
    [seen] = looks.look()

    assert (seen.status, seen.error) == ("ok", None)
    assert seen.workers == {"mini-whisper": ["ready"]}
    assert seen.refusals.get("model_not_found", 0) >= 1
    assert seen.latency["first words, recordings"].count >= 1
    assert seen.rates["audio_seconds"] > 0
    assert seen.bytes["workers"] > 1e6
    assert seen.slowest


@pytest.mark.slow
def test_once(gateway: Run, server: LiveServer) -> None:
    """A frame for people, an object for programs; a server that is not there is told, and the status is 1."""
    frame = gateway("top", "--once", server.url, COLUMNS="80")
    both = gateway("top", "--once", "--json", server.url, "127.0.0.1:1")

    assert frame.returncode == 0, frame.stderr
    assert server.url in frame.stdout.decode()
    assert max(map(len, frame.stdout.decode().splitlines())) <= 80
    assert both.returncode == 1
    here, gone = json.loads(both.stdout)["servers"]
    assert here["workers"] == {"mini-whisper": ["ready"]}
    assert gone["error"] == "nothing listens there"
    assert both.stderr == b"gateway: http://127.0.0.1:1: nothing listens there\n"


@pytest.mark.slow
def test_json_goes_on(command: list[str], environment: dict[str, str], server: LiveServer) -> None:
    """A line for each look, until nobody wants more."""
    arguments = [*command, "top", "--json", "--interval", "0.2", server.url]
    with subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        looks = [json.loads(running.stdout.readline())["servers"][0] for _ in range(2)]
        running.terminate()

    assert [look["error"] for look in looks] == [None, None]
    assert looks[1]["window_seconds"] < looks[1]["up_seconds"]
