"""What is transcribed: files, pipes and standard input."""

import errno
import io
import os
import select
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gateway.audio.length import announced_seconds
from gateway.audio.source import ByteSource, FileSource
from gateway.errors import GatewayError

STDIN = "-"


def unreadable(name: str) -> str | None:
    """Why a file cannot be transcribed, as far as that can be told by its first byte; None where it can.

    A named pipe is not opened for that: its writer would take a second time for the end.
    """
    if name == STDIN:
        return None
    try:
        status = Path(name).stat()
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    if stat.S_ISDIR(status.st_mode):
        return os.strerror(errno.EISDIR)
    if not os.access(name, os.R_OK):
        return os.strerror(errno.EACCES)
    return "The file is empty" if stat.S_ISREG(status.st_mode) and not _has_bytes(name) else None


def _has_bytes(name: str) -> bool:
    """By reading one: the system's own files say that they have none."""
    with Path(name).open("rb") as file:
        return bool(file.read(1))


@dataclass(frozen=True, slots=True)
class Recording:
    """An open input; leaving the context closes it.

    Attributes:
        announced: Seconds of audio by the container's header, a hint for people only.
    """

    source: ByteSource
    close: Callable[[], None]
    announced: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_recording(name: str) -> Recording:
    """Opens a file or, for ``-``, standard input.

    Raises:
        OSError: It cannot be opened, or it is a folder.
    """
    # Without O_NONBLOCK the opening of a named pipe would wait for its writer, deaf to Ctrl-C.
    descriptor = os.dup(0) if name == STDIN else os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            pipe = WaitingSource(descriptor)
            return Recording(pipe, pipe.close)
        file = os.fdopen(descriptor, "rb")  # refuses folders
    except BaseException:
        os.close(descriptor)
        raise
    return Recording(FileSource(file), file.close, announced_seconds(file))


class WaitingSource(io.RawIOBase):
    """A pipe, a terminal or a device: its `read` waits for data, and `stop` ends the wait from outside."""

    unread = 0
    ended = False

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._stopped, self._stop = os.pipe()
        self._is_stopped = False
        self._poll = select.poll()
        for each in (self._descriptor, self._stopped):
            self._poll.register(each, select.POLLIN)

    def read(self, size: int = 65_536, /) -> bytes:
        """What there is, at most ``size`` bytes; none at the end.

        Raises:
            GatewayError: `stop` was called.
        """
        while True:
            ready = [descriptor for descriptor, _ in self._poll.poll()]
            if self._stopped in ready:
                raise GatewayError("Nobody waits for this input any more.")
            with suppress(BlockingIOError):
                return os.read(self._descriptor, size)

    def stop(self) -> None:
        """Every `read` from now on, and one that waits, raises."""
        if not self._is_stopped:
            self._is_stopped = True
            os.close(self._stop)

    def close(self) -> None:
        """Lets go of the input; nobody may be reading."""
        if not self.closed:
            self.stop()
            os.close(self._stopped)
            os.close(self._descriptor)
        super().close()
