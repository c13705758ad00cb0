"""Who may come in: whoever has one of the server's keys, and to live sessions who has an ephemeral one."""

import hmac
import time

from starlette.datastructures import Headers
from starlette.types import Scope

from gateway.errors import AuthenticationError
from gateway.protocol.realtime.client_secrets import PREFIX, SecretSigner
from gateway.server.realtime import EPHEMERAL_KEY, SESSION_CONFIG

KEY_SUBPROTOCOL = "openai-insecure-api-key."
"""OpenAI's word for a WebSocket subprotocol that carries a key."""


class Keys:
    """The keys that are accepted; everybody is let in where no API keys are configured."""

    def __init__(self, api_keys: tuple[str, ...], signer: SecretSigner) -> None:
        self._api_keys = tuple(key.encode() for key in api_keys)
        self._signer = signer

    def check(self, scope: Scope) -> None:
        """Returns where the request has an API key.

        Raises:
            AuthenticationError: It has none, or another one.
        """
        if not self._api_keys:
            return
        key = _key(scope)
        if not key:
            raise AuthenticationError(
                "You didn't provide an API key. Send it in an Authorization header: Bearer YOUR_KEY."
            )
        given = key.encode()
        if not any(hmac.compare_digest(given, known) for known in self._api_keys):
            raise AuthenticationError("Incorrect API key provided.")

    def check_session(self, scope: Scope) -> None:
        """As `check`, but an ephemeral key will do, too; its settings then stand in the scope.

        Raises:
            AuthenticationError: The key is forged or at its end. Let in all the same, where everybody is, the
                session would silently lack the settings its page relies on.
        """
        key = _key(scope)
        if not key.startswith(PREFIX):
            self.check(scope)
            return
        config = self._signer.verify(key, now=int(time.time()))
        if config is None:
            raise AuthenticationError("Incorrect or expired ephemeral key provided.")
        scope[SESSION_CONFIG] = config
        scope[EPHEMERAL_KEY] = key


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
