"""Reads a multipart body as it arrives: text fields into memory, the file part into a spool.

Starlette's own form parser takes a part without a file name for text and caps text at 1 MB. Here the part
named ``file`` is the file whatever its headers say, so the streaming parser underneath is driven directly.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers

from gateway.errors import InvalidRequestError, PayloadTooLargeError
from gateway.server.spool import Spool

MAX_FIELDS = 1_000
MAX_FIELD_BYTES = 16 * 1024 * 1024
"""All text fields together: four speaker references of ten seconds fit, as data URLs of 48 kHz stereo WAV."""


@dataclass(slots=True)
class Upload:
    """A form as it was sent: the text fields in order, and whether the file came at all."""

    spool: Spool
    fields: list[tuple[str, str]] = field(default_factory=list)
    has_file: bool = False


async def read_upload(
    headers: Headers, body: AsyncIterator[bytes], spool: Spool, *, max_file_bytes: int
) -> Upload:
    """Parses the whole body.

    Raises:
        InvalidRequestError: The body is no multipart form, or ends before its closing boundary.
        PayloadTooLargeError: The file or the fields are over their limit.
    """
    upload = Upload(spool)
    parts = _Parts(_boundary(headers), max_file_bytes)
    async for block in body:
        for data in parts.feed(block):
            await spool.write(data)
    if not parts.ended:
        raise InvalidRequestError("The request body ended before the form was complete.", param="file")
    await spool.finish()
    upload.fields = parts.fields
    upload.has_file = parts.has_file
    return upload


def _boundary(headers: Headers) -> bytes:
    content_type, options = parse_options_header(headers.get("content-type", ""))
    if content_type != b"multipart/form-data":
        raise InvalidRequestError(
            "The body must be multipart/form-data, with the recording in a part named 'file'."
        )
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise InvalidRequestError("The Content-Type multipart/form-data has no boundary.")
    return boundary


class _Parts:
    """The parser's callbacks as one object: `feed` bytes of the body, get the file's bytes back."""

    def __init__(self, boundary: bytes, max_file_bytes: int) -> None:
        self.fields: list[tuple[str, str]] = []
        self.has_file = False
        self.ended = False
        self._max_file_bytes = max_file_bytes
        self._file_bytes = 0
        self._field_bytes = 0
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._name = ""
        self._value = bytearray()
        self._file_data: list[bytes] = []
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_part_data": self._part_data,
                "on_part_end": self._part_end,
                "on_header_field": self._header_field,
                "on_header_value": self._header_data,
                "on_header_end": self._header_end,
                "on_end": self._end,
            },
        )

    def feed(self, block: bytes) -> list[bytes]:
        """Parses more of the body.

        Returns:
            What of the block belongs to the file.
        """
        try:
            self._parser.write(block)
        except FormParserError:
            raise InvalidRequestError("The multipart body cannot be parsed.") from None
        data, self._file_data = self._file_data, []
        return data

    def _part_begin(self) -> None:
        self._name = ""
        self._value = bytearray()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_data(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._header_value))
            self._name = options.get(b"name", b"").decode(errors="replace")
            if self._name == "file":
                if self.has_file:
                    raise InvalidRequestError("The form holds more than one file.", param="file")
                self.has_file = True
        self._header_name.clear()
        self._header_value.clear()

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == "file":
            self._file_bytes += end - start
            if self._file_bytes > self._max_file_bytes:
                raise PayloadTooLargeError(
                    f"Maximum content size limit ({self._max_file_bytes}) exceeded "
                    f"({self._file_bytes} bytes read)",
                    param="file",
                )
            self._file_data.append(data[start:end])
            return
        self._field_bytes += end - start
        if self._field_bytes > MAX_FIELD_BYTES:
            raise PayloadTooLargeError(
                f"The form's text fields are over {MAX_FIELD_BYTES} bytes.", param=self._name or None
            )
        self._value += data[start:end]

    def _part_end(self) -> None:
        if self._name == "file":
            return
        if len(self.fields) >= MAX_FIELDS:
            raise InvalidRequestError(f"The form has more than {MAX_FIELDS} fields.")
        self.fields.append((self._name, self._value.decode(errors="replace")))

    def _end(self) -> None:
        self.ended = True
