"""A form while it arrives: fields into memory, the file into a spool; and what it asks for so far."""

from collections.abc import AsyncIterator, Callable, Iterable

import anyio
from starlette.datastructures import Headers

from gateway.errors import GatewayError
from gateway.protocol.dialect import Asked, Fields
from gateway.protocol.parse import missing
from gateway.server.form_parts import FormParts, boundary_of
from gateway.server.spool import Spool


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
        self._parts = FormParts(boundary_of(headers, file), max_file_bytes, given, file)
        self._spool = spool
        self._file = file
        self._error: GatewayError | None = None
        self.fields = self._parts.fields
        self.file_begun = anyio.Event()
        self.ended = anyio.Event()

    @property
    def has_file(self) -> bool:
        """The file, or its beginning, is there."""
        return self._parts.has_file

    def missing_file(self) -> GatewayError:
        """The refusal of a form without a recording; what is called otherwise may be it."""
        hint = "" if self._parts.misnamed is None else f" The file came as '{self._parts.misnamed[:64]}'."
        return missing(self._file, hint)

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
