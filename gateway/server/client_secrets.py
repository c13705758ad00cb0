"""`POST /v1/realtime/client_secrets` and its predecessor: keys for browsers, which hold no real one."""

import secrets
import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from gateway.engine.catalog import Catalog
from gateway.errors import ModelNotFoundError, PayloadTooLargeError, UploadTimeoutError
from gateway.protocol.events import encode
from gateway.protocol.realtime.client_secrets import (
    SecretRequest,
    SecretSigner,
    client_secret_object,
    parse_client_secret,
    parse_transcription_session,
    transcription_session_object,
)
from gateway.protocol.realtime.config import SessionConfig
from gateway.protocol.realtime.fields import INPUT, as_given
from gateway.server.body import Body
from gateway.server.clients import KEY_NAME

MAX_BODY_BYTES = 256 * 1024


class ClientSecrets:
    """The endpoints. Nothing is kept: a key carries its settings, and replicas of the same secret take it.

    Args:
        upload_timeout: Seconds a client may pause within its body.
    """

    def __init__(self, catalog: Catalog, signer: SecretSigner, *, upload_timeout: float) -> None:
        self._catalog = catalog
        self._signer = signer
        self._upload_timeout = upload_timeout

    async def create(self, request: Request) -> Response:
        """`/v1/realtime/client_secrets`."""
        return await self._answer(request, parse_client_secret, client_secret_object)

    async def create_session(self, request: Request) -> Response:
        """`/v1/realtime/transcription_sessions`."""
        return await self._answer(
            request, parse_transcription_session, transcription_session_object, prefix="session."
        )

    async def _answer(
        self,
        request: Request,
        parse: Callable[[bytes, SessionConfig], SecretRequest],
        render: Callable[..., object],
        *,
        prefix: str = "",
    ) -> Response:
        wanted = parse(await self._body(request), SessionConfig.default(self._catalog.names[0]))
        if wanted.config.transcription is not None:
            try:
                self._catalog.find(wanted.config.transcription.model)
            except ModelNotFoundError as error:
                found = as_given(error.under(f"{INPUT}.transcription.model"), wanted.session)
                raise found.under((found.param or "").removeprefix(prefix)) from None
        value, expires_at = self._signer.sign(
            wanted.config,
            now=int(time.time()),
            seconds=wanted.seconds,
            made_by=request.scope.get(KEY_NAME, ""),
            scope=wanted.scope,
        )
        session_id = f"sess_{secrets.token_hex(12)}"
        body = render(wanted.config, value=value, expires_at=expires_at, session_id=session_id)
        return Response(encode(body), media_type="application/json")

    async def _body(self, request: Request) -> bytes:
        body = b""
        try:
            async for block in Body(request.receive, upload_timeout=self._upload_timeout).blocks():
                body += block
                if len(body) > MAX_BODY_BYTES:
                    raise PayloadTooLargeError(f"The body is over {MAX_BODY_BYTES} bytes.")
        except UploadTimeoutError as error:
            raise error.under(None) from None
        return body
