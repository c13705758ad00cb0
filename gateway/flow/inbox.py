"""What a live client sent and was not worked on yet: audio, in pieces worth a thread, and commands."""

from collections import deque
from dataclasses import dataclass

from gateway.aio import Changed
from gateway.errors import OverloadedError
from gateway.metrics import Metrics
from gateway.transcript.commands import Append, Clear, Command, Commit, Configure

MAX_ENTRIES = 512
"""Commands, and pieces of audio between them, that may wait."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The last of all commands, and ours: end the utterance that goes on, if one does.

    Attributes:
        is_interruption: The session may go on elsewhere, see `ItemCompleted`.
    """

    is_interruption: bool = False


Task = bytes | Commit | Clear | Configure | Finish


class Waiting:
    """The audio of all sessions that was not worked on yet, within one budget.

    Args:
        each: Bytes of one session's.
        total: Bytes of all together. Where they are more, who has more than an even share is one too many: a
            microphone has next to nothing.
    """

    def __init__(self, each: int, total: int, metrics: Metrics) -> None:
        self._each = each
        self._total = total
        self._metric = metrics.live_waiting_bytes
        self._bytes = 0
        self.inboxes = 0

    def add(self, change: int) -> None:
        """Takes note that more waits, or less."""
        self._bytes += change
        self._metric.set(self._bytes)

    def check(self, own: int, more: int) -> None:
        """Returns where a session that has ``own`` bytes waiting may have ``more``.

        Raises:
            OverloadedError: It may not, as a WebSocket must always be read.
        """
        if own + more > self._each:
            raise OverloadedError(
                f"Audio came faster than it can be worked on: more than {self._each} bytes wait.",
                reason="session_waiting_bytes",
            )
        if self._bytes + more > self._total and own + more > self._total / max(1, self.inboxes):
            raise OverloadedError(
                "Too much audio of all sessions waits to be worked on. Please try again.",
                reason="waiting_bytes",
            )


class Share:
    """The waiting audio of one client's sessions.

    Args:
        limit: Bytes; 0 is no limit.
    """

    def __init__(self, limit: int = 0) -> None:
        self._limit = limit
        self.bytes = 0

    def check(self, more: int) -> None:
        """Returns where there may be more.

        Raises:
            OverloadedError: There may not.
        """
        if self._limit and self.bytes + more > self._limit:
            raise OverloadedError(
                "Audio came faster than it can be worked on: of all sessions of one client "
                f"{self._limit} bytes may wait.",
                reason="client_waiting_bytes",
            )


class Inbox:
    """A bounded queue of audio and commands, in their order.

    Args:
        waiting: Counts its audio, and that of all others.
        share: Counts its audio, and that of its client's other sessions.
        changed: Notified when something arrives.
    """

    def __init__(self, waiting: Waiting, changed: Changed, share: Share | None = None) -> None:
        self._waiting = waiting
        self._share = share or Share()
        self._waiting.inboxes += 1
        self._changed = changed
        self._entries: deque[bytearray | Commit | Clear | Configure | Finish] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        """Commands, and pieces of audio between them."""
        return len(self._entries)

    def put(self, command: Command | Finish) -> None:
        """Takes audio, or a command, which has its turn after the audio before it.

        Raises:
            OverloadedError: Too much waits; `Finish` is let in always.
        """
        if isinstance(command, Append):
            self._append(command.audio)
        else:
            if len(self._entries) >= MAX_ENTRIES and not isinstance(command, Finish):
                raise OverloadedError(
                    f"Commands came faster than they can be followed: {MAX_ENTRIES} wait.",
                    reason="session_commands",
                )
            self._entries.append(command)
        self._changed.notify()

    async def take(self, least: int, most: int) -> Task:
        """The next command or audio: at most ``most`` bytes, ``least`` unless a command is after them."""
        await self._changed.until(lambda: self._is_ripe(least))
        entry = self._entries[0]
        if not isinstance(entry, bytearray):
            self._entries.popleft()
            return entry
        data = bytes(entry[:most])
        del entry[:most]
        if not entry:
            self._entries.popleft()
        self._count(-len(data))
        return data

    def close(self) -> None:
        """Forgets what waits; the last that is done with it."""
        self._entries.clear()
        self._count(-self._bytes)
        self._waiting.inboxes -= 1

    def _append(self, data: bytes) -> None:
        self._waiting.check(self._bytes, len(data))
        self._share.check(len(data))
        if not self._entries or not isinstance(self._entries[-1], bytearray):
            self._entries.append(bytearray())
        entry = self._entries[-1]
        if isinstance(entry, bytearray):
            entry += data
        self._count(len(data))

    def _is_ripe(self, least: int) -> bool:
        if len(self._entries) > 1:
            return True
        return bool(self._entries) and not (
            isinstance(self._entries[0], bytearray) and len(self._entries[0]) < least
        )

    def _count(self, change: int) -> None:
        self._bytes += change
        self._share.bytes += change
        self._waiting.add(change)
