"""Who may come in: whoever has one of the server's keys, and to live sessions who has an ephemeral one."""

import hmac
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread
from starlette.datastructures import Headers, QueryParams
from starlette.types import Scope

from gateway.errors import AuthenticationError, InvalidRequestError, PermissionDeniedError, SettingsError
from gateway.keys import ClientLimits, Key, digest
from gateway.protocol.realtime.client_secrets import PREFIX, SecretSigner
from gateway.protocol.realtime.resume import ResumeSigner
from gateway.server.clients import CLIENT, KEY_NAME, Clients, address_of
from gateway.server.realtime import EPHEMERAL_KEY, SESSION_CLAIMS, key_fingerprint

logger = logging.getLogger(__name__)

KEY_SUBPROTOCOL = "openai-insecure-api-key."
"""OpenAI's word for a WebSocket subprotocol that carries a key."""

LOOK_SECONDS = 2.0
"""How often the file with the keys is looked at."""


class Keys:
    """The keys that are accepted; everybody is let in where no API keys are configured.

    Args:
        read: Gives the keys, None where everybody may come in.
        file: Where they come from, if from a file, to see that it was changed.
        limits: Of clients without a key.
        resume: Of the tokens of sessions, which open their own though the ephemeral key has ended meanwhile.

    Raises:
        SettingsError: They cannot be read.
    """

    def __init__(
        self,
        read: Callable[[], Sequence[Key] | None],
        signer: SecretSigner,
        *,
        file: Path | None = None,
        limits: ClientLimits | None = None,
        resume: ResumeSigner | None = None,
    ) -> None:
        self._read = read
        self._keys = read()
        self._signer = signer
        self._file = file
        self._limits = limits or ClientLimits()
        self._resume = resume
        self._clients = Clients()

    @property
    def are_needed(self) -> bool:
        """Whoever has none stays outside."""
        return self._keys is not None

    def reload(self) -> None:
        """Reads the keys anew.

        Raises:
            SettingsError: They cannot be read, and stay as they were.
        """
        before, self._keys = self._keys or (), self._read()
        left = {(each.name, each.digest) for each in self._keys or ()}
        self._clients.turn_out(each.name for each in before if (each.name, each.digest) not in left)
        logger.info("%d keys read", len(self._keys or ()))
        if self._keys is not None and not self._keys:
            logger.warning("there is no key: nobody is let in")

    async def watch(self) -> None:
        """Reads the keys anew whenever their file has changed, until cancelled."""
        if self._file is None:
            return
        seen = await anyio.to_thread.run_sync(_stamp, self._file)
        while True:
            await anyio.sleep(LOOK_SECONDS)
            now = await anyio.to_thread.run_sync(_stamp, self._file)
            if now != seen:
                seen = now
                try:
                    await anyio.to_thread.run_sync(self.reload)
                except SettingsError as error:
                    logger.warning("the keys stay as they were: %s", error)

    def check(self, scope: Scope) -> None:
        """Returns where the request has an API key; its client then stands in the scope.

        Raises:
            AuthenticationError: It has none, or another one.
            PermissionDeniedError: It has an ephemeral one, which opens something else.
            OverloadedError: Its client came too often.
        """
        if self._keys is None:
            self._enter(scope, address_of(scope), self._limits)
            return
        key = _key(scope)
        if not key:
            raise AuthenticationError(
                "You didn't provide an API key. Send it in an Authorization header: Bearer YOUR_KEY."
            )
        if (found := self._find(key)) is None:
            if self._signer.verify(key, now=int(time.time())) is not None:
                raise PermissionDeniedError("An ephemeral key opens live sessions only.")
            raise AuthenticationError("Incorrect API key provided.")
        scope[KEY_NAME] = found.name
        self._enter(scope, found.name, found.limits)

    def check_session(self, scope: Scope) -> None:
        """As `check`, but an ephemeral key will do, too; its settings then stand in the scope.

        Raises:
            AuthenticationError: The key is forged or at its end. Let in all the same, where everybody is, the
                session would silently lack the settings its page relies on.
            OverloadedError: Its client came too often.
        """
        key = _key(scope)
        if not key.startswith(PREFIX):
            self.check(scope)
            return
        claims = self._signer.read(key)
        if claims is not None and time.time() >= claims.expires_at and not self._comes_back(scope):
            claims = None
        # Whoever loses a key loses those that were made with it.
        maker = next((each for each in self._keys or () if claims and each.name == claims.made_by), None)
        if claims is None or (self._keys is not None and maker is None):
            raise AuthenticationError("Incorrect or expired ephemeral key provided.")
        if maker is not None:
            self._enter(scope, maker.name, maker.limits)
        else:
            self._enter(scope, address_of(scope), self._limits)
        scope[SESSION_CLAIMS] = claims
        scope[EPHEMERAL_KEY] = key

    def _comes_back(self, scope: Scope) -> bool:
        """A session is taken up again that this key has opened while it was good."""
        token = QueryParams(scope.get("query_string", b"")).get("resume")
        if not token or self._resume is None:
            return False
        try:
            self._resume.verify(token, key=key_fingerprint(scope), now=int(time.time()))
        except InvalidRequestError:
            return False
        return True

    def _find(self, key: str) -> Key | None:
        """Compares with all of them, however many characters agree."""
        given, found = digest(key), None
        for known in self._keys or ():
            if hmac.compare_digest(given, known.digest):
                found = known
        return found

    def _enter(self, scope: Scope, name: str, limits: ClientLimits) -> None:
        client = self._clients.get(name, limits)
        scope[CLIENT] = client
        client.admit()


def _stamp(file: Path) -> tuple[int, ...]:
    with suppress(OSError):
        status = file.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino
    return ()


def _key(scope: Scope) -> str:
    """The key of the Authorization header, of Azure's and others', or of the subprotocol, for browsers.

    They give a WebSocket no headers.
    """
    headers = Headers(scope=scope)
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    for name in ("api-key", "x-api-key"):
        if name in headers:
            return headers[name].strip()
    for subprotocol in scope.get("subprotocols", ()):
        if subprotocol.startswith(KEY_SUBPROTOCOL):
            return str(subprotocol.removeprefix(KEY_SUBPROTOCOL))
    return ""
