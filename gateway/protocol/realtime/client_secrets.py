"""Ephemeral keys: a session's settings, signed, so that any replica with the same key accepts them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired

from itsdangerous import BadData, URLSafeSerializer
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from gateway.errors import InvalidRequestError
from gateway.protocol.events import about
from gateway.protocol.parse import as_object, read_object, validated
from gateway.protocol.realtime.config import INCLUDE, Include, RealtimeSettings, SessionConfig
from gateway.protocol.realtime.fields import Known, LegacyFormat, refuse_unknown
from gateway.protocol.realtime.parts import Part
from gateway.protocol.realtime.session import (
    FlatSession,
    FlatTranscription,
    Noise,
    RealtimeSession,
    Turns,
    flat_session_object,
    session_object,
)

PREFIX = "ek_"

MAX_VALUE_CHARACTERS = 4_096
"""Browsers send it in a handshake's header, and servers read about 8 KB of those."""

_SALT = "gateway.realtime.client_secret"


class Expiry(Part):
    """When a key ends."""

    anchor: Literal["created_at"] = Field("created_at", description="Counted from now.")
    seconds: int = Field(600, ge=10, le=7_200, description="For so long; it opens several sessions.")


Key = Annotated[str, about("In place of an API key, on any replica.", examples=["ek_…"])]
EndsAt = Annotated[int, about("Seconds since 1970.")]
MaxSessions = Annotated[int, about("How many of its sessions may be open at the same time.", examples=[1])]
Pinned = Annotated[bool, about("Its sessions keep the settings they begin with.", default=False)]
EndsAfter = Annotated[Expiry, about("When it ends.", default=Expiry().model_dump())]


class ClientSecretRequest(TypedDict):
    """What a key is wanted for."""

    expires_after: NotRequired[EndsAfter]
    session: NotRequired[
        Annotated[
            RealtimeSettings,
            about("What its sessions begin with.", default=SessionConfig().to_wire()),
        ]
    ]
    max_sessions: NotRequired[MaxSessions]
    pinned: NotRequired[Pinned]


class ClientSecret(TypedDict):
    """An ephemeral key. It opens live sessions and nothing else."""

    value: Key
    expires_at: EndsAt
    session: RealtimeSession


class TranscriptionSessionRequest(TypedDict):
    """What a key is wanted for, in the flat fields of older clients; today's are read, too."""

    input_audio_format: NotRequired[Annotated[LegacyFormat, about("Of the appended audio.", default="pcm16")]]
    input_audio_transcription: NotRequired[
        Annotated[FlatTranscription, about("null: speech is told apart, but not transcribed.")]
    ]
    input_audio_noise_reduction: NotRequired[Noise]
    turn_detection: NotRequired[Turns]
    include: NotRequired[Annotated[list[Include], about(INCLUDE, default=[])]]
    expires_after: NotRequired[EndsAfter]
    max_sessions: NotRequired[MaxSessions]
    pinned: NotRequired[Pinned]


class SessionSecret(TypedDict):
    """The key of an older client's session."""

    value: Key
    expires_at: EndsAt


class TranscriptionSession(FlatSession):
    """A session as it will begin, in flat fields."""

    client_secret: SessionSecret


class Claims(BaseModel):
    """What is signed.

    Attributes:
        expires_at: Seconds since 1970.
        session: What its sessions begin with.
        made_by: Name of the API key that it was made with.
        max_sessions: How many may be open at the same time; None: as many as the server allows.
        pinned: The sessions' settings cannot be changed.
    """

    model_config = ConfigDict(frozen=True)

    expires_at: int
    session: SessionConfig
    made_by: str = ""
    max_sessions: int | None = None
    pinned: bool = False


class Scope(Part):
    """What a key is good for, beside the settings of its sessions."""

    max_sessions: int | None = Field(None, ge=1, le=10_000)
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class SecretRequest:
    """What a key is wanted for, and for how many seconds from now.

    Attributes:
        session: The settings as they were written.
    """

    config: SessionConfig
    seconds: int
    scope: Scope = field(default_factory=Scope)
    session: Mapping[str, Any] = field(default_factory=dict, compare=False)


def parse_client_secret(body: bytes, default: SessionConfig) -> SecretRequest:
    """Reads the body of `POST /v1/realtime/client_secrets`; what it leaves open is as in ``default``.

    Raises:
        InvalidRequestError: Names the first field that is missing, malformed or in contradiction.
    """
    given = _body(body)
    refuse_unknown({name: value for name, value in given.items() if value is not None}, _KNOWN)
    expiry = validated(Expiry, as_object(given.get("expires_after"), "expires_after"), "expires_after")
    session = as_object(given.get("session"), "session")
    return SecretRequest(default.updated(session), expiry.seconds, _scope(given), session)


def parse_transcription_session(body: bytes, default: SessionConfig) -> SecretRequest:
    """Reads the body of the legacy `POST /v1/realtime/transcription_sessions`, with flat fields or today's.

    Raises:
        InvalidRequestError: Names the first field that is missing, malformed or in contradiction.
    """
    given = _body(body)
    secret = as_object(given.get("client_secret"), "client_secret")
    name = "client_secret.expires_at" if "expires_at" in secret else "expires_after"
    refuse_unknown(secret.get("expires_at", given.get("expires_after")), _EXPIRY, name)
    expiry = validated(Expiry, as_object(secret.get("expires_at", given.get("expires_after")), name), name)
    try:
        config = default.updated({key: value for key, value in given.items() if key not in _OURS})
    except InvalidRequestError as error:
        param = (error.param or "").removeprefix("session.")
        raise error.under(param or None, in_message=True) from None
    return SecretRequest(config, expiry.seconds, _scope(given), given)


_OURS = {"expires_after", *Scope.model_fields}

_EXPIRY: Known = dict.fromkeys(Expiry.model_fields)

_KNOWN: Known = {"session": None, "expires_after": _EXPIRY, **dict.fromkeys(Scope.model_fields)}
"""A key whose bounds have a typo would have none."""


def _scope(given: Mapping[str, Any]) -> Scope:
    return validated(Scope, {name: given[name] for name in Scope.model_fields if name in given})


def _body(body: bytes) -> Mapping[str, Any]:
    return read_object(body) if body.strip() else {}


class SecretSigner:
    """Makes and reads ephemeral keys, as ``ek_…`` of characters that fit headers and subprotocol names.

    Args:
        keys: The first one signs, all are accepted, so that an old one can be phased out.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or not all(keys):
            raise ValueError("a signer needs a key, and no empty one")
        self._serializer = URLSafeSerializer(
            list(reversed(keys)),  # itsdangerous wants the newest last
            salt=_SALT,
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def sign(
        self,
        config: SessionConfig,
        *,
        now: int,
        seconds: int,
        made_by: str = "",
        scope: Scope | None = None,
    ) -> tuple[str, int]:
        """The key, and the second since 1970 at which it ends.

        Raises:
            InvalidRequestError: The settings are too long for a header.
        """
        claims = Claims(
            expires_at=now + seconds,
            session=config,
            made_by=made_by,
            **(scope or Scope()).model_dump(),
        )
        value = f"{PREFIX}{self._serializer.dumps(claims.model_dump_json())}"
        if len(value) > MAX_VALUE_CHARACTERS:
            raise InvalidRequestError(
                "The session's prompt and keywords are too long for an ephemeral key; "
                "send them in 'session.update'.",
                param="session.audio.input.transcription",
                code="string_above_max_length",
            )
        return value, claims.expires_at

    def verify(self, value: str, *, now: int) -> Claims | None:
        """What it says; None for a key that is forged, malformed or at its end."""
        claims = self.read(value)
        return claims if claims is not None and now < claims.expires_at else None

    def read(self, value: str) -> Claims | None:
        """What it says, or said until its end; None for a key that is forged or malformed."""
        if not value.startswith(PREFIX) or len(value) > MAX_VALUE_CHARACTERS or not value.isascii():
            return None
        try:
            return Claims.model_validate_json(self._serializer.loads(value.removeprefix(PREFIX)))
        except (BadData, ValidationError):
            return None


def client_secret_object(
    config: SessionConfig, *, value: str, expires_at: int, session_id: str
) -> ClientSecret:
    """The answer of `/v1/realtime/client_secrets`."""
    return {"value": value, "expires_at": expires_at, "session": session_object(config, session_id)}


def transcription_session_object(
    config: SessionConfig, *, value: str, expires_at: int, session_id: str
) -> TranscriptionSession:
    """The answer of the legacy `/v1/realtime/transcription_sessions`, in flat fields."""
    return {
        **flat_session_object(config, session_id),
        "client_secret": {"value": value, "expires_at": expires_at},
    }
