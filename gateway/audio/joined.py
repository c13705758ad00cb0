"""WAV and AIFF files as they are written, made plain for FFmpeg: joined ones one by one, lengths corrected.

FFmpeg reads on over the joints of most formats: MP3, AAC, FLAC, Ogg, Matroska and others are streams. A WAV
or AIFF file is one chunk with a length, after which it sees nothing. And it believes the lengths in a WAV,
which mean nothing where a program wrote it to a pipe, or was killed; nor does it find the chunks after an odd
one whose padding was left out.
"""

import re
from collections.abc import Iterator

from gateway.audio.source import ByteReader

_BLOCK = 32_768
_HEADER = 12
"""Bytes: a name, a length, a kind."""

_UNKNOWN = b"\xff\xff\xff\xff"
"""A length that FFmpeg takes for "to the end of the file"."""

_ENDLESS = 0x7FFFF000
"""From here on a length is a program's word for not knowing it."""

_NAME = re.compile(rb"[A-Za-z0-9_ ]{4}")
"""How chunks are named: seldom what four bytes of samples are."""

_JOINT = re.compile(rb"RIFF.{4}WAVE(?=fmt |fact|bext|LIST|[Jj][Uu][Nn][Kk])", re.DOTALL)
_JOINT_BYTES = 16

_LONGEST_CHUNK = 65_536
"""Bytes of a chunk before the samples that FFmpeg is shown; longer ones hold pictures and notes."""


class Recordings:
    """The recordings in a file one after the other, each with a `read` like a file's.

    What is neither WAV nor AIFF is one recording, and comes out as it is.

    Args:
        inner: Read from where it stands; its exceptions pass through, and positions are its own.
    """

    def __init__(self, inner: ByteReader) -> None:
        self._source = inner.read
        self.seekable = inner.seekable
        self.seek = inner.seek
        self.tell = inner.tell
        self._ahead = bytearray()
        self._blocks = iter(self._recording())
        self._surplus = b""

    def read(self, size: int, /) -> bytes:
        """At least one byte of the present recording and at most ``size``, or none at its end."""
        data = self._surplus
        while not data and (block := next(self._blocks, None)) is not None:
            data = block
        self._surplus = data[size:]
        return data[:size]

    def advance(self) -> bool:
        """Goes on to the next recording, from wherever this one was left; whether there is one."""
        _exhaust(self._blocks)
        self._surplus = b""
        self._blocks = iter(self._recording())
        return bool(self._peek(1))

    def _recording(self) -> Iterator[bytes]:
        head = self._peek(_HEADER)
        if _is_wav(head):
            yield from self._wav()
            return
        if _is_aiff(head):
            yield from self._copy(8 + int.from_bytes(head[4:8], "big"))
            following = self._peek(_HEADER + 1)
            if following[:1] == b"\0" and _is_aiff(following[1:]):
                self._take(1)
            if _is_aiff(self._peek(_HEADER)):
                return
        yield from self._copy(None)

    def _wav(self) -> Iterator[bytes]:
        self._take(_HEADER)
        yield b"RIFF" + _UNKNOWN + b"WAVE"
        while len(header := self._take(8)) == 8:
            name, size = header[:4], int.from_bytes(header[4:], "little")
            if name == b"data":
                yield name + _UNKNOWN
                yield from self._samples(size)
                break
            if size > _LONGEST_CHUNK:
                _exhaust(self._copy(size))
            else:
                yield header + self._take(size) + b"\0" * (size % 2)
            # An odd chunk is followed by a zero; some programs leave it out.
            if size % 2 and not _NAME.match(self._peek(4)):
                self._take(1)
        # What follows the samples are notes, up to the next recording if there is one.
        _exhaust(self._until_wav())

    def _samples(self, size: int) -> Iterator[bytes]:
        """The samples, which end where they say if that can be true, else with the file or at a joint."""
        if 0 < size < _ENDLESS:
            yield from self._copy(size)
            following = self._peek(_HEADER)
            if size % 2 and following[:1] == b"\0":
                following = following[1:]
            if not following or _NAME.match(following):
                return
        yield from self._until_wav()

    def _copy(self, size: int | None) -> Iterator[bytes]:
        """So many bytes, or all up to the end."""
        while (size is None or size > 0) and (block := self._some(_BLOCK if size is None else size)):
            if size is not None:
                size -= len(block)
            yield block

    def _until_wav(self) -> Iterator[bytes]:
        """All up to the end or the next WAV; what may be the beginning of one waits for the rest of it."""
        kept = b""
        while data := self._some(_BLOCK):
            block = kept + data
            if joint := _JOINT.search(block):
                self._ahead[:0] = block[joint.start() :]
                yield block[: joint.start()]
                return
            ready = max(len(block) - _JOINT_BYTES + 1, 0)
            kept = block[ready:]
            yield block[:ready]
        yield kept

    def _some(self, size: int) -> bytes:
        """At least one byte, none at the end."""
        return (
            self._take(min(size, len(self._ahead))) if self._ahead else self._source(min(size, _BLOCK)) or b""
        )

    def _peek(self, size: int) -> bytes:
        """So many bytes that are still to come, fewer at the end."""
        while len(self._ahead) < size and (data := self._source(size - len(self._ahead))):
            self._ahead += data
        return bytes(self._ahead[:size])

    def _take(self, size: int) -> bytes:
        data = self._peek(size)
        del self._ahead[: len(data)]
        return data


def _exhaust(blocks: Iterator[bytes]) -> None:
    for _ in blocks:
        pass


def _is_wav(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WAVE"


def _is_aiff(head: bytes) -> bool:
    return head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}
