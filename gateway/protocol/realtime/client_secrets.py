"""Ephemeral keys: a session's settings, signed, so that any replica with the same key accepts them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired

from itsdangerous import BadData, URLSafeSerializer
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from gateway.errors import InvalidRequestError
from gateway.protocol.events import about
from gateway.protocol.parse import as_object, invalid_value, read_object, validated
from gateway.protocol.realtime.config import (
    INCLUDE,
    TURNS,
    Include,
    NoiseReduction,
    Part,
    RealtimeSettings,
    SessionConfig,
    Transcription,
    TurnDetection,
    Wire,
    written,
)
from gateway.protocol.realtime.session import Id, RealtimeSession, session_object

PREFIX = "ek_"

MAX_VALUE_CHARACTERS = 4_096
"""Browsers send it in a handshake's header, and servers read about 8 KB of those."""

_SALT = "gateway.realtime.client_secret"


class Expiry(Part):
    """When a key ends."""

    anchor: Literal["created_at"] = Field("created_at", description="Counted from now.")
    seconds: int = Field(600, ge=10, le=7_200, description="For so long; it opens any number of sessions.")


LegacyFormat = Literal["pcm16", "g711_ulaw", "g711_alaw"]

_LEGACY_FORMATS: Mapping[str, LegacyFormat] = {
    "audio/pcm": "pcm16",
    "audio/pcmu": "g711_ulaw",
    "audio/pcma": "g711_alaw",
}
_LEGACY_NAMES = {
    "input_audio_transcription": "transcription",
    "input_audio_noise_reduction": "noise_reduction",
    "turn_detection": "turn_detection",
}

Key = Annotated[str, about("In place of an API key, on any replica.", examples=["ek_…"])]
EndsAt = Annotated[int, about("Seconds since 1970.")]
EndsAfter = Annotated[Expiry, about("When it ends.", default=Expiry().model_dump())]
Noise = Annotated[Wire | None, written(NoiseReduction | None), about("null: none.")]
Turns = Annotated[Wire | None, written(TurnDetection | None), about(TURNS)]
_Transcription = Annotated[Wire | None, written(Transcription | None)]


class ClientSecretRequest(TypedDict):
    """What a key is wanted for."""

    expires_after: NotRequired[EndsAfter]
    session: NotRequired[
        Annotated[
            RealtimeSettings,
            about("What its sessions begin with.", default=SessionConfig().to_wire()),
        ]
    ]


class ClientSecret(TypedDict):
    """An ephemeral key. It opens live sessions and nothing else."""

    value: Key
    expires_at: EndsAt
    session: RealtimeSession


class TranscriptionSessionRequest(TypedDict):
    """What a key is wanted for, in the flat fields of older clients; today's are read, too."""

    input_audio_format: NotRequired[Annotated[LegacyFormat, about("Of the appended audio.", default="pcm16")]]
    input_audio_transcription: NotRequired[
        Annotated[_Transcription, about("null: speech is told apart, but not transcribed.")]
    ]
    input_audio_noise_reduction: NotRequired[Noise]
    turn_detection: NotRequired[Turns]
    include: NotRequired[Annotated[list[Include], about(INCLUDE, default=[])]]
    expires_after: NotRequired[EndsAfter]


class SessionSecret(TypedDict):
    """The key of an older client's session."""

    value: Key
    expires_at: EndsAt


class TranscriptionSession(TypedDict):
    """A session as it will begin, in flat fields."""

    id: Id
    object: Literal["realtime.transcription_session"]
    input_audio_format: Annotated[LegacyFormat, about("Of the audio.")]
    input_audio_transcription: Annotated[_Transcription, about("null: none is made.")]
    input_audio_noise_reduction: Noise
    turn_detection: Turns
    client_secret: SessionSecret
    include: NotRequired[Annotated[list[Include], about(INCLUDE)]]


class _Claims(BaseModel):
    """What is signed; ``expires_at`` in seconds since 1970."""

    model_config = ConfigDict(frozen=True)

    expires_at: int
    session: SessionConfig


@dataclass(frozen=True, slots=True)
class SecretRequest:
    """What a key is wanted for, and for how many seconds from now."""

    config: SessionConfig
    seconds: int


def parse_client_secret(body: bytes, default: SessionConfig) -> SecretRequest:
    """Reads the body of `POST /v1/realtime/client_secrets`; what it leaves open is as in ``default``.

    Raises:
        InvalidRequestError: Names the first field that is missing, malformed or in contradiction.
    """
    given = _body(body)
    expiry = validated(Expiry, as_object(given.get("expires_after"), "expires_after"), "expires_after")
    return SecretRequest(default.updated(as_object(given.get("session"), "session")), expiry.seconds)


def parse_transcription_session(body: bytes, default: SessionConfig) -> SecretRequest:
    """Reads the body of the legacy `POST /v1/realtime/transcription_sessions`, with flat fields or today's.

    Raises:
        InvalidRequestError: Names the first field that is missing, malformed or in contradiction.
    """
    given = _body(body)
    secret = as_object(given.get("client_secret"), "client_secret")
    name = "client_secret.expires_at" if "expires_at" in secret else "expires_after"
    expiry = validated(Expiry, as_object(secret.get("expires_at", given.get("expires_after")), name), name)
    audio = as_object(given.get("audio"), "audio")
    fields = {**_legacy_input(given), **as_object(audio.get("input"), "audio.input")}
    session = {name: given[name] for name in ("type", "include") if name in given}
    try:
        config = default.updated({**session, "audio": {"input": fields}})
    except InvalidRequestError as error:
        param = _known_param(error.param or "", given)
        raise error.under(param or None, in_message=True) from None
    return SecretRequest(config, expiry.seconds)


def _body(body: bytes) -> Mapping[str, Any]:
    return read_object(body) if body.strip() else {}


def _legacy_input(given: Mapping[str, Any]) -> dict[str, Any]:
    fields = {new: given[old] for old, new in _LEGACY_NAMES.items() if old in given}
    audio_format = given.get("input_audio_format")
    if audio_format is None:
        return fields
    for kind, name in _LEGACY_FORMATS.items():
        if name == audio_format:
            return {"format": {"type": kind}, **fields}
    raise invalid_value("input_audio_format", "It is 'pcm16', 'g711_ulaw' or 'g711_alaw'")


def _known_param(param: str, given: Mapping[str, Any]) -> str:
    """The parameter's path as the client knows it."""
    path = param.removeprefix("session.")
    for flat, nested in _LEGACY_NAMES.items():
        todays = f"audio.input.{nested}"
        if flat in given and (path == todays or path.startswith(f"{todays}.")):
            return flat + path.removeprefix(todays)
    return path


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

    def sign(self, config: SessionConfig, *, now: int, seconds: int) -> tuple[str, int]:
        """The key, and the second since 1970 at which it ends.

        Raises:
            InvalidRequestError: The settings are too long for a header.
        """
        claims = _Claims(expires_at=now + seconds, session=config)
        value = f"{PREFIX}{self._serializer.dumps(claims.model_dump_json())}"
        if len(value) > MAX_VALUE_CHARACTERS:
            raise InvalidRequestError(
                "The session's prompt and keywords are too long for an ephemeral key; "
                "send them in 'session.update'.",
                param="session.audio.input.transcription",
                code="string_above_max_length",
            )
        return value, claims.expires_at

    def verify(self, value: str, *, now: int) -> SessionConfig | None:
        """The settings; None for a key that is forged, malformed or at its end."""
        if not value.startswith(PREFIX) or len(value) > MAX_VALUE_CHARACTERS or not value.isascii():
            return None
        try:
            claims = _Claims.model_validate_json(self._serializer.loads(value.removeprefix(PREFIX)))
        except (BadData, ValidationError):
            return None
        return claims.session if now < claims.expires_at else None


def client_secret_object(
    config: SessionConfig, *, value: str, expires_at: int, session_id: str
) -> ClientSecret:
    """The answer of `/v1/realtime/client_secrets`."""
    return {"value": value, "expires_at": expires_at, "session": session_object(config, session_id)}


def transcription_session_object(
    config: SessionConfig, *, value: str, expires_at: int, session_id: str
) -> TranscriptionSession:
    """The answer of the legacy `/v1/realtime/transcription_sessions`, in flat fields."""
    given = config.to_wire()["audio"]["input"]
    answer: TranscriptionSession = {
        "id": session_id,
        "object": "realtime.transcription_session",
        "input_audio_format": _LEGACY_FORMATS[config.format.type],
        "input_audio_transcription": given["transcription"],
        "input_audio_noise_reduction": given["noise_reduction"],
        "turn_detection": given["turn_detection"],
        "client_secret": {"value": value, "expires_at": expires_at},
    }
    if config.include:
        answer["include"] = list(config.include)
    return answer
