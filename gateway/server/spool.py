"""An uploaded file on disk: written by the event loop, read by a decoder's thread, even while it grows."""

import io
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Self

import anyio
import anyio.to_thread

from gateway.aio import Changed
from gateway.errors import GatewayError, UnavailableError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

logger = logging.getLogger(__name__)

BLOCK_BYTES = 256 * 1024
"""Gathered in memory before a thread writes them: a slow disk must not stop the event loop."""

AHEAD_BYTES = 1024 * 1024
BREATH_SECONDS = 0.002
"""An upload so far ahead of its decoder rests after each block of at most 64 KiB. On a fast network, 180
minutes of Opus arrive in a tenth of a second, and the first words came that much later than those of a
minute, as the event loop and the decoder share the cores. At 32 MB a second the upload is still faster.
"""

TOLD_SECONDS = 60.0
"""Every upload meets a full disk: the log says it once, and once more where it goes on."""


class Complaint:
    """What the operator is told of a disk that takes no uploads, and what their clients are.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told_at: float | None = None

    def of(self, error: OSError) -> UnavailableError:
        """The error for the client; the folder is named in the log alone."""
        now = self._clock()
        if self._told_at is None or now - self._told_at >= TOLD_SECONDS:
            self._told_at = now
            logger.error("uploads cannot be stored in %s (TMPDIR): %s", tempfile.gettempdir(), error.strerror)
        return UnavailableError("Uploads cannot be stored at the moment.", retry_after=10, reason="disk")


_COMPLAINT = Complaint()
"""The process's own, as its disk is."""


class Spool:
    """One upload. `write` and `finish` belong to the event loop, readers to threads.

    Readers see what is on disk: every `BLOCK_BYTES`, or sooner while `keep_flushed` runs.
    """

    def __init__(self) -> None:
        try:
            self._file: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise _COMPLAINT.of(error) from error
        self._pending = bytearray()
        self._written = Changed()
        self._flushing = anyio.Lock()
        self._changed = threading.Condition()
        self._readable = 0
        self._complete = False
        self._error: GatewayError | None = None
        self._read_to = 0
        self.size = 0

    async def write(self, data: bytes) -> None:
        """Appends ``data``; from time to time a thread puts it on disk."""
        self._pending += data
        self.size += len(data)
        self._written.notify()
        if len(self._pending) >= BLOCK_BYTES:
            await self._flush()
        if self.size - self._read_to > AHEAD_BYTES and self._read_to:
            await anyio.sleep(BREATH_SECONDS)

    async def keep_flushed(self) -> None:
        """Writes to disk whenever the disk is free, for readers that keep pace, until it is full."""
        while True:
            await self._written.until(lambda: self._pending)
            try:
                await self._flush()
            except UnavailableError as error:
                self.fail(error)
                return

    async def finish(self) -> None:
        """Says that nothing follows."""
        await self._flush()
        with self._changed:
            self._complete = True
            self._changed.notify_all()

    def fail(self, error: GatewayError) -> None:
        """Says that the rest will never come; whoever waits for it gets ``error``."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Removes the file; whoever still waits for its rest is told."""
        self.fail(self._error or GatewayError("The upload is closed."))
        self._file.close()

    def reader(self) -> "SpoolReader":
        """A view from the first byte on, with a position of its own."""
        return SpoolReader(self)

    def read_at(self, position: int, limit: int, reader: "SpoolReader") -> bytes:
        """At least one byte and at most ``limit``, or none at the end; waits while the upload grows.

        Raises:
            GatewayError: The rest will never come, or the reader was stopped.
        """
        with self._changed:
            self._wait(lambda: self._readable > position, reader)
            data = os.pread(self._file.fileno(), min(limit, max(0, self._readable - position)), position)
        self._read_to = max(self._read_to, position + len(data))
        return data

    def wait_complete(self, reader: "SpoolReader") -> int:
        """Waits for the last byte and returns the size; for readers that must seek from the end."""
        with self._changed:
            self._wait(lambda: False, reader)
            return self._readable

    @property
    def ended(self) -> bool:
        """Nothing more will come."""
        return self._complete or self._error is not None

    def wake(self) -> None:
        """Has waiting readers look again."""
        with self._changed:
            self._changed.notify_all()

    def _wait(self, is_there: Callable[[], bool], reader: "SpoolReader") -> None:
        self._changed.wait_for(
            lambda: is_there() or self._complete or self._error is not None or reader.is_stopped
        )
        if reader.is_stopped:
            raise GatewayError("The upload is no longer read.")
        if self._error is not None:
            raise self._error

    async def _flush(self) -> None:
        async with self._flushing:
            if self._pending:
                block, self._pending = bytes(self._pending), bytearray()
                try:
                    await anyio.to_thread.run_sync(self._append, block)
                except OSError as error:
                    raise _COMPLAINT.of(error) from error

    def _append(self, block: bytes) -> None:
        written = 0
        while written < len(block):
            written += os.pwrite(self._file.fileno(), memoryview(block)[written:], self._readable + written)
        with self._changed:
            self._readable += written
            self._changed.notify_all()


class SpoolReader(io.RawIOBase):
    """A seekable binary file over a `Spool`."""

    def __init__(self, spool: Spool) -> None:
        super().__init__()
        self._spool = spool
        self._position = 0
        self.is_stopped = False

    @property
    def unread(self) -> int:
        """Bytes that came and that this reader has not read yet."""
        return self._spool.size - self._position

    @property
    def ended(self) -> bool:
        """Nothing more will come."""
        return self._spool.ended

    def stop(self) -> None:
        """Ends this reader: a thread that waits in it gets a GatewayError. Others read on."""
        self.is_stopped = True
        self._spool.wake()

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always; seeking from the end waits for the end."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fills ``buffer`` with one byte or more, with none at the end."""
        view = memoryview(buffer).cast("B")
        data = self._spool.read_at(self._position, len(view), self)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves the position, beyond the end too, as files allow."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position}.get(whence)
        if base is None:
            base = self._spool.wait_complete(self)
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Bytes from the start."""
        return self._position
