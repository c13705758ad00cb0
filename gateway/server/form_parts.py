"""Takes a multipart body apart as it arrives: text fields, and the bytes of the file.

Starlette's own form parser takes a part without a file name for text and caps text at 1 MB. Here the part
that is named as the file is the file whatever its headers say, so the streaming parser underneath is driven
directly.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers

from gateway.errors import InvalidRequestError, PayloadTooLargeError
from gateway.server.base64_part import Base64Part

MAX_FIELDS = 1_000

MAX_FIELD_BYTES = 16 * 1024 * 1024
"""All text fields together: four speaker references of ten seconds fit, as data URLs of 48 kHz stereo WAV."""

MAX_PREAMBLE_BYTES = 64 * 1024
"""What may stand before the first boundary: RFC 2046 has it ignored."""

MAX_BOUNDARY_BYTES = 256
"""What the parser takes."""


def boundary_of(headers: Headers, file: str) -> bytes:
    """The boundary of a form's parts, from its Content-Type.

    Args:
        file: The name of the part that is to hold the recording.

    Raises:
        InvalidRequestError: It is no form, or has no boundary that can be read.
    """
    content_type, options = parse_options_header(headers.get("content-type", ""))
    if content_type != b"multipart/form-data":
        raise InvalidRequestError(
            f"The body must be multipart/form-data, with the recording in a part named '{file}'."
        )
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise InvalidRequestError("The Content-Type multipart/form-data has no boundary.")
    if len(boundary) > MAX_BOUNDARY_BYTES:
        raise InvalidRequestError(
            f"The boundary in Content-Type is over {MAX_BOUNDARY_BYTES} bytes; RFC 2046 has at most 70."
        )
    return boundary


class FormParts:
    """The parser's callbacks as one object: `feed` bytes of the body, get the file's bytes back.

    Attributes:
        fields: The text fields so far, in order.
        has_file: The part that is to hold the recording has begun.
        misnamed: What another part is called that is a file by its headers.
        ended: The closing boundary has come.
    """

    def __init__(
        self, boundary: bytes, max_file_bytes: int, given: Iterable[tuple[str, str]], file: str
    ) -> None:
        self.fields = list(given)
        self._file = file
        self.has_file = False
        self.misnamed: str | None = None
        self.ended = False
        self._max_file_bytes = max_file_bytes
        self._file_bytes = 0
        self._field_bytes = 0
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._name = ""
        self._value = bytearray()
        self._file_data: list[bytes] = []
        self._opening = b"--" + boundary
        self._preamble: bytes | None = b""
        self._encoding = ""
        self._decoder: Base64Part | None = None
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_part_data": self._part_data,
                "on_part_end": self._part_end,
                "on_header_field": self._header_field,
                "on_header_value": self._header_data,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_end": self._end,
            },
        )

    def feed(self, block: bytes) -> list[bytes]:
        """Parses more of the body.

        Returns:
            What of the block belongs to the file.
        """
        if self._preamble is not None:
            block = self._without_preamble(self._preamble + block)
        try:
            self._parser.write(block)
        except FormParserError:
            raise InvalidRequestError("The multipart body cannot be parsed.") from None
        data, self._file_data = self._file_data, []
        return data

    def check_ended(self) -> None:
        """Returns where the form is complete.

        Raises:
            InvalidRequestError: It lacks its end, or there was none.
        """
        if self._preamble:
            raise InvalidRequestError(_NO_BOUNDARY)
        if not self.ended:
            raise InvalidRequestError(
                "The request body ended before the form was complete.", param=self._file
            )

    def _without_preamble(self, head: bytes) -> bytes:
        """What comes from the first boundary on; nothing while it may still come.

        Raises:
            InvalidRequestError: It does not come, or its line ends with LF alone.
        """
        at = head.find(self._opening)
        end = at + len(self._opening)
        if at < 0 and len(head) > MAX_PREAMBLE_BYTES:
            raise InvalidRequestError(_NO_BOUNDARY)
        if at < 0 or end == len(head):
            self._preamble = head
            return b""
        if head[end : end + 1] == b"\n":
            raise InvalidRequestError(
                "The lines of a multipart body end with CR LF (\\r\\n); those of this one end with LF alone."
            )
        self._preamble = None
        return head[at:]

    def _part_begin(self) -> None:
        self._name = ""
        self._value = bytearray()
        self._encoding = ""
        self._decoder = None

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_data(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._header_value))
            self._name = options.get(b"name", b"").decode(errors="replace")
            if self._name == self._file:
                if self.has_file:
                    raise InvalidRequestError("The form holds more than one file.", param=self._file)
                self.has_file = True
            elif b"filename" in options:
                self.misnamed = self._name
        elif self._header_name.lower() == b"content-transfer-encoding":
            self._encoding = self._header_value.decode("latin-1").strip().lower()
        self._header_name.clear()
        self._header_value.clear()

    def _headers_finished(self) -> None:
        if self._encoding == "base64":
            self._decoder = Base64Part()
        elif self._encoding not in _AS_IT_IS:
            raise InvalidRequestError(
                f"Content-Transfer-Encoding '{self._encoding[:32]}' is not read here: send the part as it "
                "is, or as base64.",
                param=self._name or None,
            )

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        content = data[start:end]
        if self._decoder is not None:
            with self._refusing_base64():
                content = self._decoder.feed(content)
        self._take(content)

    @contextmanager
    def _refusing_base64(self) -> Iterator[None]:
        try:
            yield
        except ValueError:
            raise InvalidRequestError(
                f"The part '{self._name}' says that it is base64, and is not.", param=self._name or None
            ) from None

    def _take(self, data: bytes) -> None:
        if self._name == self._file:
            self._file_bytes += len(data)
            if self._file_bytes > self._max_file_bytes:
                raise PayloadTooLargeError(
                    f"Maximum content size limit ({self._max_file_bytes}) exceeded "
                    f"({self._file_bytes} bytes read)",
                    param=self._file,
                )
            self._file_data.append(data)
            return
        self._field_bytes += len(data)
        if self._field_bytes > MAX_FIELD_BYTES:
            raise PayloadTooLargeError(
                f"The form's text fields are over {MAX_FIELD_BYTES} bytes.", param=self._name or None
            )
        self._value += data

    def _part_end(self) -> None:
        if self._decoder is not None:
            with self._refusing_base64():
                self._decoder.flush()
        if self._name == self._file:
            return
        if len(self.fields) >= MAX_FIELDS:
            raise InvalidRequestError(f"The form has more than {MAX_FIELDS} fields.")
        self.fields.append((self._name, self._value.decode(errors="replace")))

    def _end(self) -> None:
        self.ended = True


_NO_BOUNDARY = "The multipart body does not hold the boundary that its Content-Type names."

_AS_IT_IS = frozenset({"", "7bit", "8bit", "binary"})
