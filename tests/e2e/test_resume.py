"""Live sessions that drop are taken up again: the client gets what it would have got, each event once."""

import base64
import json
import random
import socket
from typing import Any
from urllib.parse import urlencode

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from gateway.engine.whisper.engine import WhisperSpec
from tests.e2e.speaker import COMMITTED, COMPLETED, DELTA, STARTED, STOPPED, WAIT_SECONDS, speech
from tests.protocol.realtime.wire import check_frame
from tests.support import LiveServer, Sample, live_server, until

FRAME_BYTES = 4_800
BYTES_PER_MS = 48


class Client:
    """Keeps what it sent, and what it was told; drops when it is told to, without a word.

    Attributes:
        events: All but `session.created`, over all connections.
        states: What each connection began with.
    """

    def __init__(self, server: LiveServer, audio: bytes, key: str = "unused") -> None:
        self._url = server.url
        self._key = key
        self._audio = audio
        self._sent = 0
        self._resume: dict[str, Any] = {}
        self._last_event: str | None = None
        self.events: list[dict[str, Any]] = []
        self.states: list[str] = []
        self.socket: Connection = self.connect()

    def connect(self, server: LiveServer | None = None) -> Connection:
        """Opens a session, or goes on with the one that dropped."""
        self._url = server.url if server else self._url
        query = {"intent": "transcription"}
        if self._resume:
            query |= {"resume": self._resume["token"], "after": str(self._last_event)}
        self.socket = connect(
            f"{self._url.replace('http', 'ws', 1)}/v1/realtime?{urlencode(query)}",
            additional_headers={"Authorization": f"Bearer {self._key}"},
            compression=None,
        )
        created = check_frame(str(self.socket.recv(WAIT_SECONDS)))
        assert created["type"] == "session.created", created
        self._last_event = created["event_id"]
        self._resume = created["resume"]
        self.states.append(self._resume["state"])
        self._sent = self._resume["audio_ms"] * BYTES_PER_MS
        return self.socket

    def drop(self) -> None:
        """As a network that goes away: what is on its way is lost, and nobody says goodbye."""
        self.socket.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    @property
    def is_done(self) -> bool:
        """All of the audio is sent."""
        return self._sent >= len(self._audio)

    def say(self, frames: int) -> None:
        """Sends so many frames more."""
        for _ in range(frames):
            if self.is_done:
                return
            data = self._audio[self._sent : self._sent + FRAME_BYTES]
            self.send("input_audio_buffer.append", audio=base64.b64encode(data).decode())
            self._sent += len(data)

    def send(self, event: str, **fields: Any) -> None:
        """One client event."""
        self.socket.send(json.dumps({"type": event, **fields}))

    def read(self, seconds: float = 0.0) -> bool:
        """One event more, if it comes in time."""
        try:
            event = check_frame(str(self.socket.recv(seconds)))
        except (TimeoutError, ConnectionClosed):
            return False
        self._last_event = event["event_id"]
        self.events.append(event)
        return True

    def until_items(self, items: int) -> None:
        """Reads until so many items are complete."""
        while len(self.texts) < items:
            assert self.read(WAIT_SECONDS), self.states

    def finish(self) -> None:
        """Says the rest, and reads until all of it is told."""
        self.say(len(self._audio))
        self.send("input_audio_buffer.clear")
        while not self.of("input_audio_buffer.cleared") or len(self.texts) < len(self.of(COMMITTED)):
            assert self.read(WAIT_SECONDS), self.states
        self.socket.close()

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The events of a kind."""
        return [event for event in self.events if event["type"] == kind]

    @property
    def texts(self) -> list[str]:
        """The items' transcripts."""
        return [event["transcript"] for event in self.events if event["type"] == COMPLETED]

    def told(self) -> dict[str, list[Any]]:
        """What does not depend on the machine's load: texts and times, without names."""
        return {
            COMPLETED: self.texts,
            STARTED: [event["audio_start_ms"] for event in self.of(STARTED)],
            STOPPED: [event["audio_end_ms"] for event in self.of(STOPPED)],
            COMMITTED: [event["previous_item_id"] is None for event in self.of(COMMITTED)],
        }

    def deltas(self) -> dict[str, str]:
        """The deltas' text of each item."""
        texts: dict[str, str] = {}
        for event in self.of(DELTA):
            texts[event["item_id"]] = texts.get(event["item_id"], "") + event["delta"]
        return texts


def _audio(samples: dict[str, Sample], *names: str) -> bytes:
    return b"".join(speech(samples[name].path) for name in names)


def _undisturbed(server: LiveServer, audio: bytes) -> Client:
    client = Client(server, audio)
    client.finish()
    return client


@pytest.mark.timeout(300)
def test_fifty_drops_cost_nothing(live: LiveServer, samples: dict[str, Sample]) -> None:
    """At random points: the same items, at the same times, with the same texts, and each event once."""
    audio = _audio(samples, "en_long", "en_hello", "en_dialogue")
    calm = _undisturbed(live, audio)
    client = Client(live, audio)
    dice = random.Random(0)
    per_drop = len(audio) // FRAME_BYTES // 50
    for _ in range(50):
        client.say(dice.randint(1, per_drop))
        for _ in range(dice.randint(0, 6)):
            client.read(dice.choice([0.0, 0.02]))
        client.drop()
        client.connect()
    client.finish()
    ids = [event["event_id"] for event in client.events]
    numbers = [int(each.removeprefix("event_")[8:14], 16) for each in ids]

    assert client.states == ["new", *["kept"] * 50]
    assert client.told() == calm.told()
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(set(ids)) == len(ids)


def test_what_was_missed_is_told_in_order(live: LiveServer, samples: dict[str, Sample]) -> None:
    """A client that read nothing before it dropped gets all of it afterwards."""
    audio = _audio(samples, "en_hello")
    calm = _undisturbed(live, audio)
    client = Client(live, audio)
    client.say(len(audio))
    client.drop()
    client.connect()
    client.finish()

    assert client.told() == calm.told()
    assert list(client.deltas().values()) == list(calm.deltas().values())


def test_another_replica_goes_on(
    live: LiveServer, quick_whisper: WhisperSpec, samples: dict[str, Sample]
) -> None:
    """It has the secret, and no more: it says from where it wants the audio; items told once stay told."""
    audio = _audio(samples, "en_hello", "en_hello", "en_hello")
    calm = _undisturbed(live, audio)
    with live_server([quick_whisper], session_secret="the same") as first:
        client = Client(first, audio)
        client.say(len(audio) // FRAME_BYTES // 2)
        client.until_items(1)
        client.drop()
        told = len(client.texts)
        with live_server([quick_whisper], session_secret="the same") as second:
            client.connect(second)
            began = client._sent
            client.finish()
    items = [event["item_id"] for event in client.of(COMPLETED)]

    assert client.states == ["new", "restarted"]
    assert 0 < told < len(calm.texts)
    assert 0 < began < len(audio)
    assert client.texts == calm.texts
    assert len(set(items)) == len(items)


def test_a_drained_server_loses_nothing(
    quick_whisper: WhisperSpec, live: LiveServer, samples: dict[str, Sample]
) -> None:
    """A rolling restart: the old server tells what it heard, the new one goes on behind it."""
    audio = _audio(samples, "en_hello", "en_hello")
    calm = _undisturbed(live, audio)
    with live_server([quick_whisper], session_secret="the same") as first:
        client = Client(first, audio)
        client.say(len(audio) // FRAME_BYTES // 2)
        client.until_items(1)
        first.loop.call_soon_threadsafe(first.gateway.leave)
        while client.read(WAIT_SECONDS):
            pass
    with live_server([quick_whisper], session_secret="the same") as second:
        client.connect(second)
        client.finish()

    assert client.texts == calm.texts


def test_who_may_not_come_back(live: LiveServer, samples: dict[str, Sample]) -> None:
    """With a forged token, or one of another key: an error that names it, and the close code of a refusal."""
    client = Client(live, b"", key="one")
    token = client._resume["token"]
    client.drop()
    answers = []
    for key, given in [("two", token), ("one", f"{token}x"), ("one", "nonsense")]:
        with connect(
            f"{live.url.replace('http', 'ws', 1)}/v1/realtime?{urlencode({'resume': given})}",
            additional_headers={"Authorization": f"Bearer {key}"},
        ) as socket_:
            answers.append(json.loads(socket_.recv(WAIT_SECONDS))["error"])
            with pytest.raises(ConnectionClosed) as closed:
                socket_.recv(WAIT_SECONDS)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008

    assert {(answer["param"], answer["code"]) for answer in answers} == {("resume", "invalid_resume_token")}


def test_goodbye_ends_the_session(live: LiveServer) -> None:
    """Nothing waits for a client that closed as clients do; one that dropped is waited for."""
    client = Client(live, b"")
    before = live.metric("gateway_live_sessions")
    client.socket.close()
    until(lambda: live.metric("gateway_live_sessions") == before - 1)
    dropped = Client(live, b"")
    dropped.drop()
    dropped.connect()
    states = dropped.states
    dropped.socket.close()
    until(lambda: live.metric("gateway_live_sessions") == before - 1)

    assert states == ["new", "kept"]
