"""The live sessions of this process: found by name, and bounded in number where no client is there."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.server.live import Live

ALONE_OF_A_KEY = 16
ALONE = 256
"""Sessions without a client, at most; the one that is alone for longest ends."""


class LiveSessions:
    """Those that are open in this process, by name."""

    def __init__(self) -> None:
        self._open: dict[str, Live] = {}
        self._alone: deque[Live] = deque()

    def find(self, session_id: str) -> "Live | None":
        """The session of that name, with a client or without."""
        return self._open.get(session_id)

    @contextmanager
    def place(self, live: "Live") -> Iterator[None]:
        """Has the session found until the context is left."""
        self._open[live.id] = live
        try:
            yield
        finally:
            del self._open[live.id]

    @contextmanager
    def alone(self, live: "Live") -> Iterator[None]:
        """Counts a session whose client dropped; where there are too many, the first of them ends."""
        of_key = [each for each in self._alone if each.key == live.key]
        if len(of_key) >= ALONE_OF_A_KEY:
            of_key[0].give_up()
        elif len(self._alone) >= ALONE:
            self._alone[0].give_up()
        self._alone.append(live)
        try:
            yield
        finally:
            self._alone.remove(live)
