"""A live client that keeps what it sent and was told, and may drop and come back at any time."""

import base64
import json
import socket
from typing import Any
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from tests.e2e.speaker import COMMITTED, COMPLETED, DELTA, STARTED, STOPPED, WAIT_SECONDS
from tests.protocol.realtime.wire import check_frame
from tests.support import LiveServer, Process

FRAME_BYTES = 4_800
BYTES_PER_MS = 48


class Client:
    """Keeps what it sent, and what it was told; drops when it is told to, without a word.

    Attributes:
        events: All but `session.created`, over all connections.
        states: What each connection began with.
    """

    def __init__(self, server: LiveServer | Process, audio: bytes, key: str = "unused") -> None:
        self._url = server.url
        self._key = key
        self._audio = audio
        self._sent = 0
        self._resume: dict[str, Any] = {}
        self._last_event: str | None = None
        self.events: list[dict[str, Any]] = []
        self.states: list[str] = []
        self.socket: Connection = self.connect()

    def connect(self, server: LiveServer | Process | None = None) -> Connection:
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
        while not (self.of("input_audio_buffer.cleared") and self.is_told):
            assert self.read(WAIT_SECONDS), self.states
        self.socket.close()

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The events of a kind."""
        return [event for event in self.events if event["type"] == kind]

    @property
    def texts(self) -> list[str]:
        """The items' transcripts: of one that the end of a server cut short, what was told afterwards."""
        return list({event["item_id"]: event["transcript"] for event in self.of(COMPLETED)}.values())

    @property
    def items(self) -> list[str]:
        """The committed items."""
        return list(dict.fromkeys(event["item_id"] for event in self.of(COMMITTED)))

    @property
    def is_told(self) -> bool:
        """Every item has its whole text."""
        last = {event["item_id"]: event for event in self.of(COMPLETED)}
        return all(item in last and "interrupted" not in last[item] for item in self.items)

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
