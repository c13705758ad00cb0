"""`GuardedSource` keeps PyAV within bounds and the caller's errors safe; a file is a source, too."""

import io

import pytest

from gateway.audio.source import ByteSource, FileSource, GuardedSource


class Generous(io.BytesIO):
    """Gives three bytes more than asked."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Three more."""
        return super().read(-1 if size is None or size < 0 else size + 3)


class Failing(io.BytesIO):
    """Fails when the end is reached, or at each seek."""

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes, never none."""
        data = super().read(size)
        if not data:
            raise TimeoutError("the client stopped sending")
        return data


class Unseekable(io.BytesIO):
    """Fails to seek in a way of its own."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Never."""
        raise LookupError("gone")


def test_reads_are_bounded() -> None:
    """A source that gives too much loses nothing, and PyAV never sees more than it asked for."""
    source = GuardedSource(Generous(bytes(range(100))), seekable=False)
    pieces = iter(lambda: source.read(7), b"")

    joined = list(pieces)

    assert b"".join(joined) == bytes(range(100))
    assert all(1 <= len(piece) <= 7 for piece in joined)
    assert (source.tell(), source.furthest) == (100, 100)


def test_positions_count_from_where_the_file_stood() -> None:
    """A recording behind other bytes of the same file starts at 0."""
    inner = io.BytesIO(b"headerABCDEF")
    inner.seek(6)
    source = GuardedSource(inner, seekable=True)

    assert source.read(2) == b"AB"
    assert source.seek(0, io.SEEK_END) == 6
    assert source.seek(-2, io.SEEK_CUR) == 4
    assert source.read(9) == b"EF"
    assert source.seek(1) == 1
    assert source.read(1) == b"B"
    assert source.furthest == 6


def test_a_seek_forgets_the_surplus() -> None:
    """What was read too much is read again behind a seek, not given twice."""
    source = GuardedSource(Generous(b"0123456789"), seekable=True)
    source.read(2)
    source.seek(1)

    assert source.read(9) == b"123456789"


@pytest.mark.parametrize("seekable", [True, False])
def test_impossible_seeks_are_failures_not_errors(seekable: bool) -> None:  # noqa: FBT001  pytest gives it
    """FFmpeg asks an empty file for the byte before its end; it gets its word for no, and goes on."""
    source = GuardedSource(io.BytesIO(b""), seekable=seekable)

    assert source.readable()
    assert source.seekable() is seekable
    assert source.seek(-1) == -1
    source.raise_error()


def test_an_error_while_reading_is_kept() -> None:
    """The error ends the stream inside FFmpeg and is raised outside, as often as asked."""
    source = GuardedSource(Failing(b"abc"), seekable=True)

    assert [source.read(9), source.read(9), source.read(9)] == [b"abc", b"", b""]
    assert source.seek(0) == -1
    with pytest.raises(TimeoutError, match="stopped sending"):
        source.raise_error()


def test_an_error_while_seeking_is_kept() -> None:
    """An error that is no answer to the seek comes out too."""
    source = GuardedSource(Unseekable(b"abc"), seekable=True)

    assert source.seek(1) == -1
    assert source.read(1) == b""
    with pytest.raises(LookupError, match="gone"):
        source.raise_error()


def test_a_file_is_a_source() -> None:
    """It reads and seeks as the file does; all of it is there, and stopping it changes nothing."""
    source: ByteSource = FileSource(io.BytesIO(b"0123456789"))
    source.stop()

    assert source.read(4) == b"0123"
    assert (source.seekable(), source.seek(-1, io.SEEK_END), source.tell()) == (True, 9, 9)
    assert (source.unread, source.ended) == (0, True)
