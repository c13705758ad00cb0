"""Realtime clients, many in one process, each paced by the wall clock as a microphone is."""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.talk import STEP_SECONDS, Said, Talk

PATIENCE_SECONDS = 30.0
"""How long is waited for finals; what has not come by then is lost."""

COMMIT_AFTER = 0.8
"""Seconds of silence behind a turn, where the client ends them."""

TRY_AGAIN = 1013

_PREFIX = "conversation.item.input_audio_transcription."


@dataclass(slots=True)
class Item:
    """One utterance as its client saw it; times in seconds on the clock of the client's audio.

    Attributes:
        audio_start: Where its audio begins, prefix padding included.
        audio_end: Where the server says it ended, silence included; or where the client committed.
        deltas: When each came, and its text.
        released: So many of them came before the utterance was over.
        completed: When the final text came.
    """

    audio_start: float | None = None
    audio_end: float | None = None
    deltas: list[tuple[float, str]] = field(default_factory=list)
    released: int | None = None
    completed: float | None = None
    transcript: str = ""
    failed: bool = False

    @property
    def pending(self) -> bool:
        """It has neither its final text nor an error."""
        return self.completed is None and not self.failed


@dataclass(slots=True)
class Session:
    """One client's session.

    Attributes:
        created: It was admitted.
        closed: The code the server closed with, before the client was through.
        late: By how many seconds the client itself was late with an append, at most.
        items: In the order of their ends.
        errors: The server's ``error`` events.
    """

    said: tuple[Said, ...]
    seconds: float
    created: bool = False
    closed: int | None = None
    late: float = 0.0
    items: list[Item] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def broken(self) -> bool:
        """The server ended it, though it had been admitted, or told of an error."""
        return bool(self.errors) or (self.closed is not None and not self.refused)

    @property
    def refused(self) -> bool:
        """It was told to come again later."""
        return self.closed == TRY_AGAIN and not self.created


def url(port: int) -> str:
    """Where sessions are opened."""
    return f"ws://127.0.0.1:{port}/v1/realtime?intent=transcription"


def update(*, continuous: bool, delay: str | None = None) -> str:
    """``session.update``: turns by ``server_vad`` with OpenAI's defaults, or by the client's commits."""
    transcription = {"model": "gpt-live-transcribe" if continuous else "gpt-4o-transcribe", "language": "en"}
    if delay is not None:
        transcription["delay"] = delay
    turns = None if continuous else {"type": "server_vad"}
    return json.dumps(
        {
            "type": "session.update",
            "session": {
                "type": "transcription",
                "audio": {"input": {"transcription": transcription, "turn_detection": turns}},
            },
        }
    )


async def converse(port: int, talk: Talk, *, continuous: bool = False, delay: str | None = None) -> Session:
    """Holds one session until all its items have ended."""
    session = Session(talk.said, talk.seconds)
    async with connect(url(port), max_size=None, open_timeout=60) as socket:
        with suppress(ConnectionClosed):
            await _Client(socket, session).run(talk, update(continuous=continuous, delay=delay), continuous)
        session.closed = socket.close_code
    return session


class _Client:
    """One connection and what comes through it."""

    def __init__(self, socket: ClientConnection, session: Session) -> None:
        self._socket = socket
        self._session = session
        self._items: dict[str, Item] = {}
        self._commits: list[float] = []
        self._began = anyio.current_time()
        self._over = False
        """The server has worked on all that was sent."""

    async def run(self, talk: Talk, first: str, continuous: bool) -> None:  # noqa: FBT001 - passed on
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._send, talk, first, continuous)
            with anyio.move_on_after(talk.seconds + PATIENCE_SECONDS):
                await self._receive()
            tasks.cancel_scope.cancel()

    async def _send(self, talk: Talk, first: str, continuous: bool) -> None:  # noqa: FBT001 - passed on
        # Whoever reads sees the end, too.
        with suppress(ConnectionClosed):
            await self._socket.send(first)
            await self._send_all(talk, continuous)

    async def _send_all(self, talk: Talk, continuous: bool) -> None:  # noqa: FBT001 - passed on
        turns = [
            sooner.end for sooner, later in pairwise(talk.said) if later.start - sooner.end > COMMIT_AFTER
        ]
        commits = [end + COMMIT_AFTER for end in turns]
        for number, frame in enumerate(talk.frames, 1):
            # Sound can be sent when it is over.
            due = self._began + number * STEP_SECONDS
            await anyio.sleep_until(due)
            await self._socket.send(frame)
            self._session.late = max(self._session.late, anyio.current_time() - due)
            if continuous and commits and self._now() >= commits[0]:
                commits.pop(0)
                await self._commit()
        if continuous:
            await self._commit()
        # Its answer comes behind the events of all audio before it.
        await self._socket.send('{"type": "input_audio_buffer.clear"}')

    async def _commit(self) -> None:
        self._commits.append(self._now())
        await self._socket.send('{"type": "input_audio_buffer.commit"}')

    async def _receive(self) -> None:
        with suppress(ConnectionClosed):
            async for frame in self._socket:
                self._note(json.loads(frame), self._now())
                if self._over and not any(item.pending for item in self._session.items):
                    return

    def _now(self) -> float:
        return anyio.current_time() - self._began

    def _note(self, event: dict[str, Any], now: float) -> None:
        kind: str = event["type"]
        if kind == "error":
            self._session.errors.append(event["error"]["message"])
        elif kind == "session.created":
            self._session.created = True
        elif kind == "input_audio_buffer.cleared":
            self._over = True
        elif kind.startswith(("input_audio_buffer.", _PREFIX)):
            item = self._items.setdefault(event["item_id"], Item())
            self._note_item(item, kind.removeprefix("input_audio_buffer.").removeprefix(_PREFIX), event, now)

    def _note_item(self, item: Item, kind: str, event: dict[str, Any], now: float) -> None:
        match kind:
            case "speech_started":
                item.audio_start = event["audio_start_ms"] / 1000
            case "speech_stopped":
                item.audio_end = event["audio_end_ms"] / 1000
                item.released = len(item.deltas)
            case "committed":
                self._session.items.append(item)
                if item.released is None:
                    item.released = len(item.deltas)
                    item.audio_end = self._commits[len(self._session.items) - 1]
            case "delta":
                item.deltas.append((now, event["delta"]))
            case "completed":
                item.completed, item.transcript = now, event["transcript"]
            case "failed":
                item.failed = True
