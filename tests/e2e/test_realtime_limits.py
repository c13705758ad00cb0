"""However a live session ends, what was heard is told, everything is freed, and nobody else notices."""

import json
import logging
import socket
import threading
from contextlib import ExitStack, suppress
from functools import partial
from typing import Self
from urllib.parse import urlsplit

import pytest
import uvicorn
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State
from websockets.sync.client import connect
from websockets.uri import parse_uri

from gateway.engine.whisper.engine import WhisperSpec
from tests.clock import Clock
from tests.e2e.speaker import COMPLETED, STARTED, Speaker, speaker, speech
from tests.support import LiveServer, Sample, live_server, until

MODEL = "gpt-4o-transcribe"


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is refused because these tests speak faster than people do."""
    monkeypatch.setattr("gateway.flow.pacing.ADMIT_UNTIL", 60.0)
    monkeypatch.setattr("gateway.flow.pacing.ADMIT_UNTIL_BUSY", 60.0)


def spoken(sample: Sample) -> bytes:
    """The recording, broken off in its last word."""
    return speech(sample.path)[: round((sample.utterances[-1]["end"] - 0.05) * 24_000) * 2]


def refusal(session: Speaker) -> tuple[int, str]:
    """The close code and the reason of a session that was refused, without an `error` event."""
    closed = session.closed()
    assert not session.all("error")
    return closed


def test_max_sessions(quick_whisper: WhisperSpec, samples: dict[str, Sample]) -> None:
    """One too many is told to come back; the one that is there is not disturbed, and its place comes free."""
    with live_server([quick_whisper], max_sessions=1) as server:
        with speaker(server, model=MODEL) as first:
            first.receive()
            with speaker(server, model=MODEL) as second:
                assert refusal(second) == (
                    1013,
                    "Too many people are being listened to. Please try again soon.",
                )
                second.events.clear()
            first.say(speech(samples["en_hello"].path))

            assert first.texts(1) == ["Hello world."]
        until(lambda: not server.metric("gateway_live_sessions"))
        with speaker(server, model=MODEL) as third:
            assert third.receive()["type"] == "session.created"


@pytest.mark.parametrize("goes_on", [False, True])
def test_the_longest_session(
    quick_whisper: WhisperSpec, samples: dict[str, Sample], monkeypatch: pytest.MonkeyPatch, *, goes_on: bool
) -> None:
    """At its end the item is completed in mid-utterance; then OpenAI's error and a normal close."""
    with live_server([quick_whisper], max_session_seconds=600) as server:
        clock = Clock(server.loop, monkeypatch)
        with speaker(server, model=MODEL) as session:
            session.say(spoken(samples["en_numbers"]))
            session.flush()
            talking = threading.Thread(target=_talk, args=(session, stop := threading.Event()))
            if goes_on:
                talking.start()
            clock.advance(600)
            closed = session.closed()
            error = session.events[-1]["error"]
            stop.set()
            if goes_on:
                talking.join()

        assert closed[0] == 1000
        assert (error["code"], error["message"]) == (
            "session_expired",
            "Your session hit the maximum duration of 10 minutes.",
        )
        [done] = session.all(COMPLETED)
        assert done["transcript"].startswith("Seven two zero nineteen forty")
        assert session.events[0]["session"]["expires_at"] > 0


def _talk(session: Speaker, closed: threading.Event) -> None:
    """Silence, without end."""
    with suppress(ConnectionClosed):
        while not closed.wait(0.01):
            session.say(bytes(4_800))


@pytest.mark.parametrize("goes_on", [False, True])
def test_the_end_of_the_server(
    quick_whisper: WhisperSpec, samples: dict[str, Sample], *, goes_on: bool
) -> None:
    """Who speaks gets their text and 1012, with which clients come back; so does who just listens."""
    with (
        live_server([quick_whisper]) as server,
        speaker(server) as idle,
        speaker(server, model=MODEL) as session,
    ):
        idle.receive()
        session.update(turn_detection=None)
        session.say(spoken(samples["en_hello"]))
        session.flush()
        talking = threading.Thread(target=_talk, args=(session, stop := threading.Event()))
        if goes_on:
            talking.start()
        server.gateway.leave()
        code, reason = session.closed()
        stop.set()
        if goes_on:
            talking.join()

        assert code == 1012
        [done] = session.all(COMPLETED)
        assert done["transcript"].startswith("Hello")
        assert reason.startswith("The server is shutting down")
        assert idle.closed() == (1012, reason)
        assert not session.all("error") + idle.all("error")


def test_nobody_is_let_in_to_be_sent_away(quick_whisper: WhisperSpec) -> None:
    """Who is told that the server ends finds it closed at once, and is not let in to be told again."""
    with live_server([quick_whisper]) as server, speaker(server) as session:
        session.receive()
        server.end()

        assert session.closed()[0] == 1012
        with pytest.raises(ConnectionRefusedError):
            connect(f"{server.url.replace('http', 'ws', 1)}/v1/realtime?intent=transcription")


@pytest.mark.parametrize("abruptly", [False, True])
def test_a_client_that_leaves(
    quick_whisper: WhisperSpec,
    samples: dict[str, Sample],
    caplog: pytest.LogCaptureFixture,
    *,
    abruptly: bool,
) -> None:
    """In mid-utterance, politely or not: no row, no byte and no word in the log are left of it."""
    with live_server([quick_whisper], resume_seconds=0) as server, caplog.at_level(logging.INFO):
        for _ in range(3):
            with speaker(server, model=MODEL) as session:
                session.say(speech(samples["en_dialogue"].path))
                session.until(STARTED)
                if abruptly:
                    session.socket.socket.shutdown(socket.SHUT_RDWR)
        names = ("gateway_live_sessions", "gateway_live_waiting_bytes", "gateway_queue_rows")
        until(lambda: not any(server.metric(name) for name in names))
        with speaker(server, model=MODEL) as session:
            session.say(speech(samples["en_hello"].path))

            assert session.texts(1) == ["Hello world."]
    servers = [record for record in caplog.records if record.name.startswith(("gateway", "uvicorn"))]

    assert [record for record in servers if record.levelno > logging.INFO] == []


def test_a_client_that_reads_nothing(
    quick_whisper: WhisperSpec, samples: dict[str, Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left after a while, without harm to another who speaks meanwhile."""
    monkeypatch.setattr("gateway.server.websocket.GOODBYE_SECONDS", 0.1)
    with live_server([quick_whisper], send_timeout=0.3) as server, speaker(server, model=MODEL) as other:
        other.receive()
        with _Deaf(server) as deaf:
            while server.metric("gateway_live_sessions") > 1:
                deaf.make_mistakes(500)
            other.say(speech(samples["en_hello"].path))

            assert other.texts(1) == ["Hello world."]


class _Deaf:
    """A client that reads nothing, with the smallest of buffers."""

    def __init__(self, server: LiveServer) -> None:
        parts = urlsplit(server.url)
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        self._socket.connect((parts.hostname, parts.port))
        # Should the server have stopped reading, too.
        self._socket.settimeout(0.1)
        self._protocol = ClientProtocol(parse_uri(f"ws://{parts.netloc}/v1/realtime?intent=transcription"))
        self._protocol.send_request(self._protocol.connect())
        self._send()
        while self._protocol.state is not State.OPEN:
            self._protocol.receive_data(self._socket.recv(1_000))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def make_mistakes(self, count: int) -> None:
        """Each is answered with as long a frame as there can be."""
        for _ in range(count):
            self._protocol.send_text(json.dumps({"type": "?", "event_id": "e" * 512}).encode())
        with suppress(OSError):
            self._send()

    def close_code(self) -> int | None:
        """What the server closed with: only now is read what it has sent."""
        while self._protocol.close_rcvd is None:
            self._protocol.receive_data(self._socket.recv(1_000))
        return self._protocol.close_rcvd.code

    def _send(self) -> None:
        for data in self._protocol.data_to_send():
            self._socket.sendall(data)


def test_a_client_without_pongs(quick_whisper: WhisperSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is dead to the server, which closes with 1011, and frees its place."""
    often = partial(uvicorn.Config, ws_ping_interval=0.05, ws_ping_timeout=0.05)
    monkeypatch.setattr("gateway.serving.uvicorn.Config", often)
    with live_server([quick_whisper], resume_seconds=0) as server, _Deaf(server) as deaf:
        until(lambda: not server.metric("gateway_live_sessions"))

        assert deaf.close_code() == 1011


def test_too_much_at_once(quick_whisper: WhisperSpec) -> None:
    """More audio than may wait ends the session, with the code after which clients come back."""
    with live_server([quick_whisper], max_waiting_bytes=100_000) as server, speaker(server) as session:
        session.receive()
        session.say(bytes(200_000), 200_000)

        code, reason = refusal(session)
        assert (code, "faster" in reason) == (1013, True)


def test_hundreds_who_listen(live: LiveServer, samples: dict[str, Sample]) -> None:
    """200 idle sessions connect and stay, while another is transcribed."""
    with ExitStack() as stack:
        idle = [stack.enter_context(speaker(live, model=MODEL)) for _ in range(200)]
        for session in idle:
            session.receive()

        assert live.metric("gateway_live_sessions") == 200
        with speaker(live, model=MODEL) as session:
            session.say(speech(samples["en_nato_8k"].path))

            assert session.texts(2) == [part["text"] for part in samples["en_nato_8k"].utterances]
        for session in idle:
            session.flush()
    until(lambda: not live.metric("gateway_live_sessions"))
