"""How a live session that dropped is taken up again: its token, and the ids of its events.

The token says which session it was, whose, and what it began with; any replica with the same secret reads it.
An event's id says, beside its place among the session's events, how much of the audio is settled: told in
items that are complete. Whoever has the token and the last event's id needs nothing of a server that is gone.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from itsdangerous import BadData, URLSafeSerializer
from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.errors import InvalidRequestError
from gateway.protocol.realtime.config import SessionConfig

MAX_TOKEN_CHARACTERS = 4_096
"""It comes back in a URL, of which servers read about 8 KB."""

_SALT = "gateway.realtime.resume"
_PREFIX = "event_"
_FIELDS = (8, 6, 8, 5)
"""Hexadecimal digits of an event's id: session, number, settled milliseconds and items; chance follows."""

_SUFFIX = 4


class ResumeClaims(BaseModel):
    """What is signed.

    Attributes:
        session_id: Its name without ``sess_``.
        key: Digest of the key that opened it: no other may take it up.
        expires_at: The session's end, in seconds since 1970.
        config: What it began with; None where that is too long for a URL.
    """

    model_config = ConfigDict(frozen=True)

    session_id: str
    key: str
    expires_at: int
    config: SessionConfig | None


class ResumeSigner:
    """Makes and reads the tokens.

    Args:
        keys: The first one signs, all are accepted.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._serializer = URLSafeSerializer(
            list(reversed(keys)),  # itsdangerous wants the newest last
            salt=_SALT,
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def sign(self, claims: ResumeClaims) -> str:
        """The token, in characters that fit a URL."""
        token = str(self._serializer.dumps(claims.model_dump_json()))
        if len(token) > MAX_TOKEN_CHARACTERS:
            token = str(self._serializer.dumps(claims.model_copy(update={"config": None}).model_dump_json()))
        return token

    def verify(self, token: str, *, key: str, now: int) -> ResumeClaims:
        """What a token says.

        Raises:
            InvalidRequestError: It is forged, another key's, or its session is over.
        """
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise _refused("It is no token of this server's.")
        try:
            claims = ResumeClaims.model_validate_json(self._serializer.loads(token))
        except (BadData, ValidationError):
            raise _refused("It is no token of this server's.") from None
        if claims.key != key:
            raise _refused("Its session was opened with another key.")
        if now >= claims.expires_at:
            raise _refused("Its session is over.")
        return claims


@dataclass(frozen=True, slots=True)
class Place:
    """A place among a session's events.

    Attributes:
        number: Of the event, from 0.
        settled_ms: So much of the audio is told in complete items.
        items: So many items there are in that.
    """

    number: int = -1
    settled_ms: int = 0
    items: int = 0

    def event_id(self, session_id: str) -> str:
        """The id of the event there."""
        _, *widths = _FIELDS
        values = (self.number, self.settled_ms, self.items)
        shown = "".join(f"{value:0{width}x}" for value, width in zip(values, widths, strict=True))
        return f"{_PREFIX}{session_id[: _FIELDS[0]]}{shown}{secrets.token_hex(_SUFFIX // 2)}"

    @classmethod
    def of(cls, event_id: str, session_id: str) -> "Place":
        """Where an event stands, by its id.

        Raises:
            InvalidRequestError: It is not one of the session's.
        """
        digits = event_id.removeprefix(_PREFIX)
        session, *widths = _FIELDS
        if len(digits) != sum(_FIELDS) + _SUFFIX or not digits.startswith(session_id[:session]):
            raise InvalidRequestError("It names no event of this session.", param="after")
        values, at = [], session
        try:
            for width in widths:
                values.append(int(digits[at : at + width], 16))
                at += width
        except ValueError:
            raise InvalidRequestError("It names no event of this session.", param="after") from None
        return cls(*values)


def _refused(why: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"The session cannot be taken up again. {why}", param="resume", code="invalid_resume_token"
    )
