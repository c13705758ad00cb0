"""Files as they are written, made plain for FFmpeg: recordings that are joined one by one, WAVs corrected.

FFmpeg reads on over the joints of formats that are streams: MP3, AAC, FLAC and others. Those with one header
for all of a file it takes for ended, or for damaged; in Ogg and Matroska it goes on with the first header,
which gives nothing or noise where codec, rate or channels are others. And it believes the lengths in a WAV,
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


class _Beginning:
    """How a recording begins: too long to occur in one by chance.

    Args:
        magic: Its first bytes.
        rest: What follows them, as a regular expression.
    """

    def __init__(self, magic: bytes, rest: bytes = b"") -> None:
        pattern = re.compile(re.escape(magic) + rest, re.DOTALL)
        self._magic = magic
        self.match = pattern.match
        self.search = pattern.search

    def may_begin(self, block: bytes) -> int:
        """Where the first one may begin that the block has not all of; its length if none does."""
        for at in range(max(len(block) - _LONGEST_BEGINNING + 1, 0), len(block)):
            if self._magic.startswith(block[at : at + len(self._magic)]):
                return at
        return len(block)


_WAV = _Beginning(b"RIFF", rb".{4}WAVE(?=fmt |fact|bext|LIST|[Jj][Uu][Nn][Kk])")

_OGG = _Beginning(b"OggS\0", rb"[\x02\x06]\0{8}")
"""The first page of one of its tracks."""

_OTHERS = (
    _Beginning(b"#!AMR", rb"(-WB)?\n"),
    _Beginning(b".snd\0\0\0", rb"."),
    _Beginning(b"FLV\x01", rb"[\x01\x04\x05]\0\0\0\t"),
    _Beginning(b"TTA1", rb"[\x01\x02]\0.\0"),
    _Beginning(b"caff\0\x01\0\0desc"),
    _Beginning(b"\0\0\0", rb".ftyp[\w ]{4}"),
    _Beginning(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c"),
    _Beginning(b"\x1aE\xdf\xa3", rb"(?:[\x80-\xfe]|\x01.{7})B\x86\x81\x01"),
)
"""Of AMR, AU, FLV, TTA, CAF, MP4, ASF and Matroska, which is WebM."""

_LONGEST_BEGINNING = 16

_PAGE_HEADER = 27
"""Bytes of an Ogg's page, the last of which says how many lengths follow."""

_LONGEST_CHUNK = 65_536
"""Bytes of a chunk that says what the samples are; the others hold pictures and notes."""


_FMT_EXTENSIBLE = 40
"""Bytes of a WAV's format that says how many bits of a sample are in use."""


class Recordings:
    """The recordings in a file one after the other, each with a `read` like a file's.

    But for WAVs they come out as they are.

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
        head = self._peek(_LONGEST_BEGINNING)
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
        if _OGG.match(head):
            yield from self._ogg_tracks()
            yield from self._until(_OGG)
        elif beginning := next((each for each in _OTHERS if each.match(head)), None):
            yield self._take(4)
            yield from self._until(beginning)
        else:
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
            if name in {b"fmt ", b"fact"} and size <= _LONGEST_CHUNK:
                content = self._take(size)
                yield header + (_full_width(content) if name == b"fmt " else content) + b"\0" * (size % 2)
            else:
                _exhaust(self._copy(size))
            # An odd chunk is followed by a zero; some programs leave it out.
            if size % 2 and not _NAME.match(self._peek(4)):
                self._take(1)
        # What follows the samples are notes, up to the next recording if there is one.
        _exhaust(self._until(_WAV))

    def _ogg_tracks(self) -> Iterator[bytes]:
        """The pages at an Ogg's beginning, one for each of its tracks: only the first begins a recording."""
        while _OGG.match(self._peek(_LONGEST_BEGINNING)):
            header = self._take(_PAGE_HEADER)
            lengths = self._take(sum(header[-1:]))
            yield header + lengths + self._take(sum(lengths))

    def _samples(self, size: int) -> Iterator[bytes]:
        """The samples, which end where they say if that can be true, else with the file or at a joint."""
        if 0 < size < _ENDLESS:
            yield from self._copy(size)
            following = self._peek(_HEADER)
            if size % 2 and following[:1] == b"\0":
                following = following[1:]
            if not following or _NAME.match(following):
                return
        yield from self._until(_WAV)

    def _copy(self, size: int | None) -> Iterator[bytes]:
        """So many bytes, or all up to the end."""
        while (size is None or size > 0) and (block := self._some(_BLOCK if size is None else size)):
            if size is not None:
                size -= len(block)
            yield block

    def _until(self, beginning: _Beginning) -> Iterator[bytes]:
        """All up to the end or a beginning; what may be the first bytes of one waits for the others."""
        kept = b""
        while data := self._some(_BLOCK):
            block = kept + data
            if found := beginning.search(block):
                self._ahead[:0] = block[found.start() :]
                yield block[: found.start()]
                return
            ready = beginning.may_begin(block)
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


def _full_width(fmt: bytes) -> bytes:
    """The format with all bits of a sample in use.

    Where there are fewer in use they are the upper ones, and the others zero. FFmpeg takes 24 or 16 bits in
    32 for the floats of an old program.
    """
    if fmt[:2] != b"\xfe\xff" or len(fmt) < _FMT_EXTENSIBLE:
        return fmt
    return fmt[:18] + fmt[14:16] + fmt[20:]


def _is_wav(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WAVE"


def _is_aiff(head: bytes) -> bool:
    return head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}
