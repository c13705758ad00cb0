"""Request bodies that come compressed."""

import zlib
from collections.abc import Iterator

from gateway.errors import InvalidRequestError, PayloadTooLargeError

_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}

_MAGIC = b"\x1f\x8b"

_BLOCK_BYTES = 256 * 1024
"""What is unpacked at a time: between two of them others have their turn."""


class Inflater:
    """A compressed body in, what was packed out.

    Args:
        encoding: The header Content-Encoding.
        max_bytes: The most that may come out: a few kilobytes can hold gigabytes.

    Raises:
        InvalidRequestError: The encoding is not known here.
    """

    def __init__(self, encoding: str, *, max_bytes: int) -> None:
        bits = _WINDOW_BITS.get(encoding.strip().lower())
        if bits is None:
            raise InvalidRequestError(
                f"Content-Encoding '{encoding[:32]}' is not read here: send the body as it is, or as gzip."
            )
        self._bits = bits
        self._stream = zlib.decompressobj(bits)
        self._left = max_bytes

    def feed(self, block: bytes) -> Iterator[bytes]:
        """What ``block`` unpacks to, in small blocks.

        Raises:
            InvalidRequestError: It is not what its header says.
            PayloadTooLargeError: More comes out than may.
        """
        while block:
            if self._stream.eof:
                # What follows is another member of a gzip file (RFC 1952, 2.2), or padding.
                if not block.startswith(_MAGIC[: len(block)]) or self._bits == zlib.MAX_WBITS:
                    return
                self._stream = zlib.decompressobj(self._bits)
            try:
                data = self._stream.decompress(block, _BLOCK_BYTES)
            except zlib.error:
                raise InvalidRequestError("The body is not what its Content-Encoding says.") from None
            block = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            self._left -= len(data)
            if self._left < 0:
                raise PayloadTooLargeError("The unpacked body is larger than any that is taken.")
            yield data

    def flush(self) -> None:
        """Returns where the packed stream is whole.

        Raises:
            InvalidRequestError: Its end is missing.
        """
        if not self._stream.eof:
            raise InvalidRequestError("The compressed body ends before its end.")
