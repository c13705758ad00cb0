"""A spool gives back what was written, to readers that wait for it, and lets nobody wait in vain."""

import errno
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from gateway.audio.source import ByteSource
from gateway.errors import GatewayError, UnavailableError, UploadTimeoutError
from gateway.server.spool import BLOCK_BYTES, TOLD_SECONDS, Complaint, Spool, SpoolReader

CONTENT = bytes(range(256)) * 5_000


def _read_all(spool: Spool, size: int) -> bytes:
    reader = spool.reader()
    return b"".join(iter(lambda: reader.read(size), b""))


@pytest.mark.parametrize("step", [1_000, BLOCK_BYTES - 1, BLOCK_BYTES, len(CONTENT)])
@pytest.mark.parametrize("size", [7_777, 1 << 20])
async def test_content_is_the_same_in_any_slices(step: int, size: int) -> None:
    """However it is written and read, the bytes are those of the file."""
    with Spool() as spool:
        for start in range(0, len(CONTENT), step):
            await spool.write(CONTENT[start : start + step])
        await spool.finish()

        assert spool.size == len(CONTENT)
        assert await anyio.to_thread.run_sync(_read_all, spool, size) == CONTENT


async def test_a_reader_waits_for_what_is_not_there_yet() -> None:
    """A reader that is ahead of the upload gets the rest as it comes, and the end."""
    with Spool() as spool, ThreadPoolExecutor(1) as threads:
        future = threads.submit(_read_all, spool, 4096)
        for start in range(0, len(CONTENT), 100_000):
            await spool.write(CONTENT[start : start + 100_000])
        await spool.finish()

        assert await anyio.to_thread.run_sync(future.result) == CONTENT


async def test_readers_have_their_own_positions_and_seek() -> None:
    """Containers seek: from the start, from here, and from the end once it is known."""
    with Spool() as spool:
        await spool.write(b"0123456789")
        await spool.finish()
        one, other = spool.reader(), spool.reader()

        assert (one.read(3), other.read(2), one.tell()) == (b"012", b"01", 3)
        assert (one.seek(-2, os.SEEK_END), one.read()) == (8, b"89")
        assert (other.seek(1, os.SEEK_CUR), other.read(1)) == (3, b"3")
        assert (other.seek(100), other.read(1)) == (100, b"")


@pytest.mark.parametrize("wait", [lambda reader: reader.read(1), lambda reader: reader.seek(0, os.SEEK_END)])
async def test_a_broken_upload_wakes_its_readers(wait: Callable[[SpoolReader], object]) -> None:
    """Who waits for the rest of an upload that will not come is told why."""
    with Spool() as spool, ThreadPoolExecutor(1) as threads:
        future = threads.submit(wait, spool.reader())
        spool.fail(UploadTimeoutError("stopped"))
        with pytest.raises(UploadTimeoutError):
            await anyio.to_thread.run_sync(future.result)


async def test_closing_removes_the_file_and_wakes_readers() -> None:
    """Behind the request nothing is left, on disk or in a thread."""
    with Spool() as spool, ThreadPoolExecutor(1) as threads:
        descriptor = spool._file.fileno()
        future = threads.submit(partial(spool.reader().read, 1))
        spool.close()
        with pytest.raises(GatewayError):
            await anyio.to_thread.run_sync(future.result)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


async def test_a_reader_keeps_pace() -> None:
    """While `keep_flushed` runs, a reader gets single bytes as they are written, and nothing gets lost."""
    with Spool() as spool, ThreadPoolExecutor(1) as threads:
        reader = spool.reader()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(spool.keep_flushed)
            for byte in b"abc":
                await spool.write(bytes([byte]))
                future = threads.submit(reader.read, 10)

                assert await anyio.to_thread.run_sync(future.result) == bytes([byte])
            rest = threads.submit(reader.readall)
            for start in range(0, len(CONTENT), 999):
                await spool.write(CONTENT[start : start + 999])
                await anyio.lowlevel.checkpoint()
            await spool.finish()

            assert await anyio.to_thread.run_sync(rest.result) == CONTENT
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize("wait", [lambda reader: reader.read(1), lambda reader: reader.seek(0, os.SEEK_END)])
async def test_a_stopped_reader_is_woken_alone(wait: Callable[[SpoolReader], object]) -> None:
    """One reader can be ended while it waits; another one reads on."""
    with Spool() as spool, ThreadPoolExecutor(1) as threads:
        reader = spool.reader()
        future = threads.submit(wait, reader)
        reader.stop()
        with pytest.raises(GatewayError):
            await anyio.to_thread.run_sync(future.result)
        await spool.write(b"abc")
        await spool.finish()

        assert spool.reader().read() == b"abc"


async def test_a_reader_says_what_is_left() -> None:
    """What came and was not read, and whether more will come."""
    with Spool() as spool:
        reader: ByteSource = spool.reader()
        await spool.write(b"abcdef")
        assert (reader.unread, reader.ended) == (6, False)
        await spool.finish()
        reader.read(2)

        assert (reader.unread, reader.ended) == (4, True)


async def test_a_reader_of_a_broken_upload_has_ended() -> None:
    """Nothing more will come."""
    with Spool() as spool:
        reader = spool.reader()
        spool.fail(UploadTimeoutError("stopped"))

        assert reader.ended


async def test_a_full_disk_is_no_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing more can be stored, writers and readers are told to come back."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with Spool() as spool:
        await spool.write(b"a")
        with pytest.raises(UnavailableError):
            await spool.finish()
        await spool.write(b"b")
        await spool.keep_flushed()
        with pytest.raises(UnavailableError):
            spool.reader().read(1)


def test_a_full_disk_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """Every upload meets it, and the log would be full of it; no client is told a path."""
    now = 0.0
    complaint = Complaint(lambda: now)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            error = complaint.of(OSError(errno.ENOSPC, "No space left on device"))
            assert (error.retry_after, error.reason, "/" in error.message) == (10, "disk", False)
        assert len(caplog.records) == 1
        now = TOLD_SECONDS
        complaint.of(OSError(errno.ENOSPC, "No space left on device"))

    assert len(caplog.records) == 2
