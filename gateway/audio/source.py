"""What a recording's bytes come from, and a guard around it: PyAV neither bounds reads nor keeps errors."""

import io
from typing import Protocol


class ByteReader(Protocol):
    """A binary file, or as much of one as decoding needs. It may still be growing: then `read` waits."""

    def read(self, size: int, /) -> bytes | None:
        """Gives at least one byte, or none at the end."""

    def seekable(self) -> bool:
        """Whether `seek` and `tell` work."""

    def seek(self, offset: int, whence: int = ..., /) -> int:
        """Moves the position, as files do."""

    def tell(self) -> int:
        """The position, as files tell it."""


class ByteSource(ByteReader, Protocol):
    """A recording's bytes as they come; one thread reads, anybody asks and stops."""

    @property
    def unread(self) -> int:
        """Bytes that came and were not read yet."""

    @property
    def ended(self) -> bool:
        """Nothing more will come than has come."""

    def stop(self) -> None:
        """Ends the reading: a `read` that waits, and each from now on, raises a GatewayError."""


class FileSource:
    """A plain file as a `ByteSource`: all of it is there and no `read` waits, so there is nothing to stop."""

    unread = 0
    ended = True

    def __init__(self, file: ByteReader) -> None:
        self.read = file.read
        self.seekable = file.seekable
        self.seek = file.seek
        self.tell = file.tell

    def stop(self) -> None:
        """Does nothing: a file's reads end by themselves."""


class GuardedSource:
    """A file object for PyAV: `read(n)` gives 1 to n bytes, or none at the end.

    It has no name, so FFmpeg can only go by the content. An exception of the inner file ends the stream and
    is kept for `raise_error`: one raised inside a callback waits in a thread-local of PyAV and may come out
    of an unrelated call later.

    Args:
        inner: Read from where it stands.
        seekable: Let FFmpeg seek. It seeks to the end soon, which in a growing file means to wait for it.
    """

    def __init__(self, inner: ByteReader, *, seekable: bool) -> None:
        self._inner = inner
        self._start = inner.tell() if seekable else None
        self._surplus = b""
        self._position = 0
        self._error: Exception | None = None
        self.furthest = 0
        """The farthest position up to which bytes were read."""

    def readable(self) -> bool:
        """PyAV may read from it: always."""
        return True

    def seekable(self) -> bool:
        """Whether FFmpeg may seek, as constructed."""
        return self._start is not None

    def read(self, size: int) -> bytes:
        """Gives at least one and at most ``size`` bytes, none at the end."""
        data, self._surplus = self._surplus, b""
        if not data and self._error is None:
            try:
                data = self._inner.read(size) or b""
            except Exception as error:  # noqa: BLE001  kept, and raised outside of FFmpeg
                self._error = error
        self._surplus = data[size:]
        data = data[:size]
        self._position += len(data)
        self.furthest = max(self.furthest, self._position)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves, counted from where the inner file stood at first; -1 is FFmpeg's word for a failure."""
        if self._start is None or self._error is not None:
            return -1
        try:
            if whence == io.SEEK_CUR:
                offset, whence = self._position + offset, io.SEEK_SET
            target = offset + self._start if whence == io.SEEK_SET else offset
            self._position = self._inner.seek(target, whence) - self._start
        except (OSError, ValueError):
            return -1
        except Exception as error:  # noqa: BLE001  kept, and raised outside of FFmpeg
            self._error = error
            return -1
        self._surplus = b""
        return self._position

    def tell(self) -> int:
        """The position in bytes from where the inner file stood at first."""
        return self._position

    @property
    def has_failed(self) -> bool:
        """The inner file raised something."""
        return self._error is not None

    def raise_error(self) -> None:
        """Raises what the inner file raised, if it did."""
        if self._error is not None:
            raise self._error
