"""What a live session has told, kept for a while: who drops does not know what was on its way."""

from collections import deque

KEPT_SECONDS = 150.0
"""A client that answers no ping for 40 s is gone, and may come back within a minute."""

KEPT_CHARACTERS = 1024 * 1024
"""Of frames that were sent."""


class Outbox:
    """A session's frames, numbered from 0, with a mark before the next one to send."""

    def __init__(self) -> None:
        self._frames: deque[tuple[float, str]] = deque()
        self._first = 0
        self._next = 0
        self._kept = 0

    @property
    def waiting(self) -> int:
        """Frames that are not sent yet."""
        return self._first + len(self._frames) - self._next

    def put(self, frame: str, now: float) -> None:
        """Takes the next frame, and forgets what was sent long ago."""
        self._frames.append((now, frame))
        self._kept += len(frame)
        while self._first < self._next:
            at, oldest = self._frames[0]
            if now - at < KEPT_SECONDS and self._kept <= KEPT_CHARACTERS:
                return
            self._frames.popleft()
            self._first += 1
            self._kept -= len(oldest)

    def take(self) -> str:
        """The next frame to send."""
        _, frame = self._frames[self._next - self._first]
        self._next += 1
        return frame

    def rewind(self, number: int) -> bool:
        """Goes back to the frame of that number; False where it, or one between, is there no more."""
        if not self._first <= number <= self._first + len(self._frames):
            return False
        self._next = number
        return True
