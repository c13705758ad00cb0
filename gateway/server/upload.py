"""Reads a multipart body as it arrives: text fields into memory, the file part into a spool.

Starlette's own form parser takes a part without a file name for text and caps text at 1 MB. Here the part
named ``file`` is the file whatever its headers say, so the streaming parser underneath is driven directly.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager

import anyio
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers

from gateway.errors import GatewayError, InvalidRequestError, PayloadTooLargeError
from gateway.protocol.dialect import Asked, Fields
from gateway.server.base64_part import Base64Part
from gateway.server.spool import Spool

MAX_FIELDS = 1_000

MAX_BOUNDARY_BYTES = 256
"""What the parser takes."""

MAX_FIELD_BYTES = 16 * 1024 * 1024
"""All text fields together: four speaker references of ten seconds fit, as data URLs of 48 kHz stereo WAV."""


MAX_PREAMBLE_BYTES = 64 * 1024
"""What may stand before the first boundary: RFC 2046 has it ignored."""


class Upload:
    """A form while it arrives: `receive` reads it to its end, others look at what is there already.

    Clients of the official SDKs send every field before the file, so a transcription may begin with the
    file's first bytes. Who looks early must look again when the form is `complete`.

    Args:
        max_file_bytes: The largest file.
        given: Fields that the address has; the form's own go before them.
        file: The name of the part that is the recording.

    Attributes:
        fields: The text fields so far, in order.
        file_begun: Set with the file's first bytes, or at the form's end.
        ended: Set at the form's end, whole or broken.

    Raises:
        InvalidRequestError: The body is announced as something else than a multipart form.
    """

    def __init__(
        self,
        headers: Headers,
        spool: Spool,
        *,
        max_file_bytes: int,
        given: Iterable[tuple[str, str]] = (),
        file: str = "file",
    ) -> None:
        self._parts = _Parts(_boundary(headers, file), max_file_bytes, given, file)
        self._spool = spool
        self._error: GatewayError | None = None
        self.fields = self._parts.fields
        self.file_begun = anyio.Event()
        self.ended = anyio.Event()

    @property
    def has_file(self) -> bool:
        """The file, or its beginning, is there."""
        return self._parts.has_file

    async def receive(self, body: AsyncIterator[bytes]) -> None:
        """Reads the whole body. What is wrong with it is raised by `complete`, and by the spool's readers."""
        try:
            async for block in body:
                for data in self._parts.feed(block):
                    await self._spool.write(data)
                if self._parts.has_file:
                    self.file_begun.set()
            self._parts.check_ended()
            await self._spool.finish()
        except GatewayError as error:
            self._error = error
            self._spool.fail(error)
        finally:
            self.file_begun.set()
            self.ended.set()

    async def complete(self) -> None:
        """Returns when the whole form is there.

        Raises:
            InvalidRequestError: The body is no multipart form, or ends before its closing boundary.
            PayloadTooLargeError: The file or the fields are over their limit.
            UploadTimeoutError: The client stopped sending.
        """
        await self.ended.wait()
        if self._error is not None:
            raise self._error


class RequestChangedError(Exception):
    """The fields after the file ask for something else than those before it."""


class EarlyRequest:
    """A request that is answered before all of its form may have come.

    Args:
        parse: Reads the form's fields.

    Attributes:
        upload: The form.
        asked: What the fields that were there asked for.
    """

    def __init__(self, upload: Upload, parse: Callable[[Fields], Asked]) -> None:
        self._parse = parse
        self.upload = upload
        self.asked = parse(upload.fields)

    @classmethod
    async def begin(cls, upload: Upload, parse: Callable[[Fields], Asked]) -> "EarlyRequest":
        """The request, as soon as its fields make one: what is missing may stand after the file.

        Raises:
            GatewayError: The form, or what all of it asks for, is refused.
        """
        try:
            return cls(upload, parse)
        except GatewayError:
            await upload.complete()
            return cls(upload, parse)

    async def confirm(self) -> None:
        """Returns at the form's end, where it asks for what is being answered.

        Raises:
            RequestChangedError: Fields after the file ask for something else.
            GatewayError: The form or one of those fields is refused.
        """
        await self.upload.complete()
        if self._parse(self.upload.fields) != self.asked:
            raise RequestChangedError


def _boundary(headers: Headers, file: str) -> bytes:
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


class _Parts:
    """The parser's callbacks as one object: `feed` bytes of the body, get the file's bytes back."""

    def __init__(
        self, boundary: bytes, max_file_bytes: int, given: Iterable[tuple[str, str]], file: str
    ) -> None:
        self.fields = list(given)
        self._file = file
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
