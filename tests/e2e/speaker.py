"""A client of the Realtime WebSocket: it speaks recordings, and holds every frame against the rules."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from tests.audio.sound import Encoding, encode, load
from tests.protocol.realtime.wire import check_frame
from tests.support import LiveServer

Event = dict[str, Any]

WAIT_SECONDS = 120.0

TRANSCRIPTION = "conversation.item.input_audio_transcription"
COMPLETED = f"{TRANSCRIPTION}.completed"
DELTA = f"{TRANSCRIPTION}.delta"
COMMITTED = "input_audio_buffer.committed"
STARTED = "input_audio_buffer.speech_started"
STOPPED = "input_audio_buffer.speech_stopped"

_ORDER = (STARTED, STOPPED, COMMITTED, "conversation.item.added", "conversation.item.done", COMPLETED)
_MULAW = Encoding("mulaw", "pcm_mulaw", 8_000)
_ALAW = Encoding("alaw", "pcm_alaw", 8_000)


@cache
def speech(path: Path, rate: int = 24_000, *, law: str = "", silence: float = 1.0) -> bytes:
    """A recording as bare samples, with seconds of silence behind it; ``law`` is u or a for G.711."""
    samples = np.append(load(path), np.zeros(round(silence * 16_000), np.float32))
    pcm = Encoding("s16le", "pcm_s16le", rate)
    return encode(samples, {"u": _MULAW, "a": _ALAW}.get(law, pcm))


class Speaker:
    """One session. What it receives is checked at once, and in `check` as a whole.

    Attributes:
        events: All that came.
    """

    def __init__(self, socket: Connection) -> None:
        self.socket = socket
        self.events: list[Event] = []

    def send(self, event: str, **fields: Any) -> None:
        """One client event."""
        self.socket.send(json.dumps({"type": event, **fields}))

    def say(self, data: bytes, size: int = 24_000) -> None:
        """Audio in appends of ``size`` bytes."""
        for start in range(0, len(data), size):
            audio = base64.b64encode(data[start : start + size]).decode()
            self.send("input_audio_buffer.append", audio=audio)

    def commit(self, **fields: Any) -> None:
        """The audio so far is a turn."""
        self.send("input_audio_buffer.commit", **fields)

    def update(self, *, include: Sequence[str] | None = None, **fields: Any) -> Event:
        """New settings, which must be accepted; returns the session."""
        session: Event = {"type": "transcription", "audio": {"input": fields}}
        self.send("session.update", session=session | ({} if include is None else {"include": include}))
        updated: Event = self.until("session.updated", skip=True)["session"]
        return updated

    def receive(self) -> Event:
        """The next event."""
        event = check_frame(str(self.socket.recv(timeout=WAIT_SECONDS)))
        self.events.append(event)
        return event

    def hears(self, seconds: float) -> bool:
        """Takes the next event where one comes in time."""
        try:
            frame = self.socket.recv(timeout=seconds)
        except TimeoutError:
            return False
        self.events.append(check_frame(str(frame)))
        return True

    def until(self, kind: str, *, skip: bool = False) -> Event:
        """The next event of this type; an error on the way is a failure, unless it is what is awaited."""
        while (event := self.receive())["type"] != kind:
            assert event["type"] != "error" or skip, event
        return event

    def texts(self, count: int) -> list[str]:
        """The texts of so many items, in all."""
        while len(self.all(COMPLETED)) < count:
            self.until(COMPLETED)
        return [event["transcript"] for event in self.all(COMPLETED)]

    def all(self, kind: str) -> list[Event]:
        """The events of this type so far."""
        return [event for event in self.events if event["type"] == kind]

    def flush(self) -> None:
        """Waits until all that was sent is worked on: an update is answered in its turn."""
        self.update()

    def closed(self) -> tuple[int, str]:
        """Receives to the end, which must come; gives code and reason."""
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                self.receive()
        assert caught.value.rcvd is not None
        return caught.value.rcvd.code, caught.value.rcvd.reason

    def told(self) -> list[tuple[str, ...]]:
        """What does not depend on timing: texts, times and order, with items by number."""
        items: dict[str, str] = {}
        told = []
        for event in self.events:
            item = event.get("item_id") or event.get("item", {}).get("id")
            if event["type"] in _ORDER:
                values = [event.get(name, "") for name in ("audio_start_ms", "audio_end_ms", "transcript")]
                told.append((event["type"], items.setdefault(item, str(len(items))), *map(str, values)))
        return sorted(told, key=lambda each: (int(each[1]), _ORDER.index(each[0])))

    def check(self) -> None:
        """The rules of contract that hold for every session."""
        check_events(self.events)


def check_events(events: Sequence[Mapping[str, Any]]) -> None:
    """First the session; ids that are unique; each item's events in order; deltas of one item at a time."""
    assert events[0]["type"] == "session.created"
    assert sum(event["type"] == "session.created" for event in events) == 1
    assert len({event["event_id"] for event in events}) == len(events)
    last = None
    for event in events:
        if event["type"] == COMMITTED:
            assert event["previous_item_id"] == last
            last = event["item_id"]
    items: dict[str, list[str]] = {}
    texts: dict[str, str] = {}
    spoken: list[str] = []
    for event in events:
        item = event.get("item_id") or event.get("item", {}).get("id")
        if item is None:
            continue
        if event["type"] == DELTA:
            assert COMPLETED not in items.get(item, [])
            assert event["delta"]
            texts[item] = texts.get(item, "") + event["delta"]
        else:
            items.setdefault(item, []).append(event["type"])
        if event["type"] in {DELTA, COMPLETED}:
            spoken.append(item)
    for kinds in items.values():
        places = [_ORDER.index(kind) for kind in kinds if kind in _ORDER]

        assert places == sorted(set(places))
    changes = [new for old, new in pairwise([None, *spoken]) if new != old]

    assert len(changes) == len(set(changes)), "deltas of two items interleave"


@contextmanager
def speaker(
    server: LiveServer | str,
    *,
    path: str = "",
    model: str = "",
    intent: str = "transcription",
    options: Mapping[str, Any] | None = None,
) -> Iterator[Speaker]:
    """An open session; when the context ends well, all of it is checked.

    Args:
        options: Further ones of the connection.
    """
    url = server if isinstance(server, str) else server.url
    query = {name: value for name, value in {"intent": intent, "model": model}.items() if value}
    address = f"{url.replace('http', 'ws', 1)}{path}/v1/realtime?{urlencode(query)}"
    with connect(address, open_timeout=WAIT_SECONDS, max_size=None, **(options or {})) as socket:
        opened = Speaker(socket)
        yield opened
        if opened.events:
            opened.check()
