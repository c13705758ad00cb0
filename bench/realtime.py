"""Realtime clients, many in one process, each paced by the wall clock as a microphone is."""

import json
from collections.abc import Sequence
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

CLEAR = '{"type": "input_audio_buffer.clear"}'

_PREFIX = "conversation.item.input_audio_transcription."


@dataclass(slots=True)
class Item:
    """One utterance as its client saw it; times in seconds on the clock of the client's audio.

    Attributes:
        audio_start: Where its audio begins, prefix padding included.
        speech_start: Where its speech does, if that is known.
        audio_end: Where the server says it ended, silence included; or where the client committed.
        deltas: When each came, and its text.
        released: So many of them came before the utterance was over.
        completed: When the final text came.
        languages: Of the final text, as ISO 639-1 codes.
    """

    audio_start: float | None = None
    speech_start: float | None = None
    audio_end: float | None = None
    deltas: list[tuple[float, str]] = field(default_factory=list)
    released: int | None = None
    completed: float | None = None
    transcript: str = ""
    languages: tuple[str, ...] = ()
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


def _update(language: str | None, *, continuous: bool) -> str:
    """``session.update``: turns by ``server_vad`` with OpenAI's defaults, or by the client's commits."""
    model = "gpt-live-transcribe" if continuous else "gpt-4o-transcribe"
    transcription = {"model": model, "language": language}
    turns = None if continuous else {"type": "server_vad"}
    audio = {"input": {"transcription": transcription, "turn_detection": turns}}
    return json.dumps({"type": "session.update", "session": {"type": "transcription", "audio": audio}})


def _turn_ends(talk: Talk) -> list[float]:
    """The seconds at which a client commits: after each turn, and at the end."""
    pairs = pairwise(talk.said)
    turns = [sooner.end for sooner, later in pairs if later.start - sooner.end > COMMIT_AFTER]
    return [*(end + COMMIT_AFTER for end in turns), talk.seconds]


async def converse(
    port: int, talk: Talk, *, continuous: bool = False, language: str | None = "en", pace: float = 1.0
) -> Session:
    """Holds one session until all its items have ended.

    Args:
        language: None: the server is to find out.
        pace: So many times as fast as it is said it is sent.
    """
    session = Session(talk.said)
    commits = _turn_ends(talk) if continuous else []
    async with connect(url(port), max_size=None, open_timeout=60) as socket:
        client = _Client(socket, session, commits, pace)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.send, [_update(language, continuous=continuous), *talk.frames])
            with anyio.move_on_after(talk.seconds + PATIENCE_SECONDS):
                await client.receive()
            tasks.cancel_scope.cancel()
        session.closed = socket.close_code
    return session


class _Client:
    """One connection and what comes through it; commits at these seconds, and at the last one in any case."""

    def __init__(self, socket: ClientConnection, session: Session, commits: list[float], pace: float) -> None:
        self._socket = socket
        self._step = STEP_SECONDS / pace
        self._session = session
        self._items: dict[str, Item] = {}
        self._commits = commits
        self._committed: list[float] = []
        self._began = anyio.current_time()

    async def send(self, frames: Sequence[str]) -> None:
        with suppress(ConnectionClosed):  # whoever reads sees the end, too
            for number, frame in enumerate(frames):
                # Sound can be sent when it is over.
                due = self._began + number * self._step
                await anyio.sleep_until(due)
                await self._socket.send(frame)
                self._session.late = max(self._session.late, anyio.current_time() - due)
                if self._commits[1:] and self._now() >= self._commits[0]:
                    await self._commit()
            if self._commits:
                await self._commit()
            # Its answer comes after the events of all audio before it.
            await self._socket.send(CLEAR)

    async def _commit(self) -> None:
        self._commits.pop(0)
        self._committed.append(self._now())
        await self._socket.send('{"type": "input_audio_buffer.commit"}')

    async def receive(self) -> None:
        with suppress(ConnectionClosed):
            is_over = False
            async for frame in self._socket:
                event = json.loads(frame)
                self._note(event, self._now())
                # The server has worked on all that was sent.
                is_over = is_over or event["type"] == "input_audio_buffer.cleared"
                if is_over and not any(item.pending for item in self._session.items):
                    return

    def _now(self) -> float:
        return anyio.current_time() - self._began

    def _note(self, event: dict[str, Any], now: float) -> None:
        session, item = self._session, self._items.setdefault(event.get("item_id", ""), Item())
        match event["type"].removeprefix("input_audio_buffer.").removeprefix(_PREFIX):
            case "error":
                session.errors.append(event["error"]["message"])
            case "session.created":
                session.created = True
            case "speech_started":
                item.audio_start = event["audio_start_ms"] / 1000
            case "speech_stopped":
                item.audio_end, item.released = event["audio_end_ms"] / 1000, len(item.deltas)
            case "committed":
                session.items.append(item)
                if item.released is None:
                    item.released = len(item.deltas)
                    item.audio_end = self._committed[len(session.items) - 1]
            case "delta":
                item.deltas.append((now, event["delta"]))
            case "completed":
                item.completed, item.transcript = now, event["transcript"]
                item.languages = tuple(each["code"] for each in event["languages"])
            case "failed":
                item.failed = True
