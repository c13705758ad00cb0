"""Compressed bodies are unpacked in bounded steps, and never to more than may come."""

import gzip
import zlib

import pytest

from gateway.errors import InvalidRequestError, PayloadTooLargeError
from gateway.server.inflate import Inflater

CONTENT = bytes(range(256)) * 4_000


@pytest.mark.parametrize("step", [1, 100, 1_000_000])
@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(CONTENT)),
        ("gzip", gzip.compress(CONTENT[:5]) + gzip.compress(b"") + gzip.compress(CONTENT[5:])),
        ("gzip", gzip.compress(CONTENT) + bytes(600)),
        (" Deflate", zlib.compress(CONTENT)),
        ("deflate", zlib.compress(CONTENT) + b"\r\n"),
    ],
)
def test_any_slices_give_the_content(encoding: str, packed: bytes, step: int) -> None:
    """Whole, byte by byte and in odd cuts."""
    inflater = Inflater(encoding, max_bytes=len(CONTENT))
    blocks = [block for at in range(0, len(packed), step) for block in inflater.feed(packed[at : at + step])]
    inflater.flush()

    assert b"".join(blocks) == CONTENT


def test_a_bomb_is_stopped_where_it_is_too_large() -> None:
    """Small steps all the way, and no more of them than the limit has room for."""
    blocks = Inflater("gzip", max_bytes=10_000_000).feed(gzip.compress(bytes(100_000_000)))
    sizes: list[int] = []
    with pytest.raises(PayloadTooLargeError):
        sizes.extend(len(block) for block in blocks)

    assert max(sizes) <= 256 * 1024
    assert sum(sizes) <= 10_000_000


def test_what_is_not_packed() -> None:
    """The header is wrong, or the end is missing."""
    with pytest.raises(InvalidRequestError, match="Content-Encoding says"):
        list(Inflater("gzip", max_bytes=100).feed(b"not packed"))
    cut = Inflater("gzip", max_bytes=10_000_000)
    list(cut.feed(gzip.compress(CONTENT)[:-9]))
    with pytest.raises(InvalidRequestError, match="before its end"):
        cut.flush()


def test_unknown_encodings_are_told_what_is_read() -> None:
    """Brotli and the like."""
    with pytest.raises(InvalidRequestError, match="'br' is not read here"):
        Inflater("br", max_bytes=1)
