"""What the client sent and was not worked on yet: audio, in pieces worth a thread, between its commands."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import anyio

from gateway.errors import OverloadedError

MAX_ENTRIES = 512
"""Commands, and pieces of audio between them, that may wait."""


@dataclass(frozen=True, slots=True)
class Commit:
    """End the utterance here; where it ``is_last``, only if there is one."""

    event_id: str | None
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Clear:
    """Forget what was not committed."""


@dataclass(frozen=True, slots=True)
class Configure:
    """Do as ``session`` says from here on."""

    session: object
    event_id: str | None


Command: TypeAlias = Commit | Clear | Configure


class Inbox:
    """A queue of bytes and commands, in order.

    Args:
        max_bytes: Of audio waiting; more is an error, as a WebSocket must always be read.
        on_change: Told the change in bytes waiting.
    """

    def __init__(self, max_bytes: int, on_change: Callable[[int], None] = lambda _: None) -> None:
        self._max_bytes = max_bytes
        self._on_change = on_change
        self._entries: deque[bytearray | Command] = deque()
        self._bytes = 0
        self._arrived = anyio.Event()

    def append(self, data: bytes) -> None:
        """Audio.

        Raises:
            OverloadedError: Too much of it waits.
        """
        if self._bytes + len(data) > self._max_bytes:
            raise OverloadedError(
                f"Audio came faster than it can be worked on: more than {self._max_bytes} bytes wait."
            )
        if not self._entries or not isinstance(self._entries[-1], bytearray):
            self._entries.append(bytearray())
        entry = self._entries[-1]
        if isinstance(entry, bytearray):
            entry += data
        self._count(len(data))
        self._arrived.set()

    def put(self, command: Command) -> None:
        """A command; it takes its turn behind the audio before it.

        Raises:
            OverloadedError: Too many wait; the last one of all is ours, and let in.
        """
        is_last = isinstance(command, Commit) and command.is_last
        if len(self._entries) >= MAX_ENTRIES and not is_last:
            raise OverloadedError(f"Commands came faster than they can be followed: {MAX_ENTRIES} wait.")
        self._entries.append(command)
        self._arrived.set()

    def __len__(self) -> int:
        """Commands, and pieces of audio between them."""
        return len(self._entries)

    async def take(self, least: int, most: int) -> bytes | Command:
        """The next command or audio: at most ``most`` bytes, ``least`` unless a command is behind them."""
        while True:
            match self._entries[0] if self._entries else None:
                case bytearray() as entry if len(entry) >= least or len(self._entries) > 1:
                    data = bytes(entry[:most])
                    del entry[:most]
                    if not entry:
                        self._entries.popleft()
                    self._count(-len(data))
                    return data
                case Commit() | Clear() | Configure() as command:
                    self._entries.popleft()
                    return command
            self._arrived = anyio.Event()
            await self._arrived.wait()

    def close(self) -> None:
        """Forgets what waits."""
        self._entries.clear()
        self._count(-self._bytes)

    def _count(self, change: int) -> None:
        self._bytes += change
        self._on_change(change)
