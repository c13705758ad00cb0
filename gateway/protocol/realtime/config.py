"""What a transcription session is set to, and how a partial `session` object of the wire changes it."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from gateway.errors import InvalidRequestError, UnsupportedValueError
from gateway.protocol import request
from gateway.protocol.combinations import check_combinations
from gateway.protocol.contracts import contract
from gateway.protocol.realtime.objects import as_object, check_length, invalid_value, validated

LOGPROBS = "item.input_audio_transcription.logprobs"

G711_RATE = 8_000

_MAX_ITEMS = 1_000
"""Of a list, before anything else is looked at; the fields' own limits are lower."""

_INPUT = "session.audio.input"
_OF_THE_FORM = ("model", "language", "languages", "prompt", "keywords")
"""What a session's transcription shares with the form of an upload; the same rules hold."""


class _Part(BaseModel):
    """JSON has types of its own: a number in quotes is a mistake."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class AudioFormat(_Part):
    """What the appended bytes are: little-endian signed 16 bit, or G.711; mono.

    Attributes:
        rate: Samples per second. Others than OpenAI's 24000 are an extension; G.711 has 8000 only.
    """

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate: int = Field(24_000, ge=8_000, le=48_000)

    @model_validator(mode="before")
    @classmethod
    def _default_rate(cls, fields: object) -> object:
        if isinstance(fields, Mapping) and fields.get("type") in ("audio/pcmu", "audio/pcma"):
            return {"rate": G711_RATE, **fields}
        return fields

    @field_validator("rate")
    @classmethod
    def _check_rate(cls, rate: int, info: ValidationInfo) -> int:
        if info.data.get("type", "audio/pcm") != "audio/pcm" and rate != G711_RATE:
            raise PydanticCustomError("g711_rate", "G.711 has 8000 samples per second")
        return rate

    def to_wire(self) -> dict[str, Any]:
        """Without the rate where the type says it."""
        return {"type": self.type, "rate": self.rate} if self.type == "audio/pcm" else {"type": self.type}


class Transcription(_Part):
    """How the session's speech is transcribed.

    Attributes:
        delay: How long to wait for more audio before text is sent.
    """

    model: str
    language: str | None = None
    languages: tuple[str, ...] = ()
    prompt: str | None = None
    keywords: tuple[str, ...] = ()
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None

    def to_wire(self) -> dict[str, Any]:
        """With the fields that only newer clients know where they are set."""
        wire: dict[str, Any] = {"model": self.model, "language": self.language, "prompt": self.prompt}
        newer = {"languages": list(self.languages), "keywords": list(self.keywords), "delay": self.delay}
        return wire | {name: value for name, value in newer.items() if value}


class NoiseReduction(_Part):
    """Filters the audio before anything else hears it; a ``strength`` of 0 changes nothing."""

    type: Literal["near_field", "far_field"]
    strength: float = Field(1.0, ge=0, le=1, allow_inf_nan=False)


class ServerVad(request.ServerVad):
    """Turns end with silence. OpenAI's `create_response` and `interrupt_response` have no meaning here."""

    model_config = ConfigDict(strict=True)

    type: Literal["server_vad"] = "server_vad"
    silence_duration_ms: int = Field(500, ge=0, le=10_000)
    idle_timeout_ms: Annotated[int, Field(ge=5_000, le=30_000)] | None = None


class SemanticVad(_Part):
    """Turns end where the sentence does, or after a longer silence."""

    type: Literal["semantic_vad"] = "semantic_vad"
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"


class SessionConfig(_Part):
    """A session's settings.

    Attributes:
        transcription: None: speech is told apart, but not transcribed.
        turn_detection: None: the client commits.
    """

    format: AudioFormat = AudioFormat()
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None
    turn_detection: Annotated[ServerVad | SemanticVad, Field(discriminator="type")] | None = None
    include: tuple[Literal["item.input_audio_transcription.logprobs"], ...] = Field((), strict=False)

    @classmethod
    def default(cls, model: str) -> "SessionConfig":
        """What a session begins with, where its client says nothing but the model."""
        return cls(
            transcription=Transcription(model=model),
            turn_detection=None if contract(model).continuous else ServerVad(),
        )

    @property
    def wants_logprobs(self) -> bool:
        """`include` asks for token log-probabilities."""
        return LOGPROBS in self.include

    @property
    def is_continuous(self) -> bool:
        """The model's name says that deltas flow all along, without turns."""
        return self.transcription is not None and contract(self.transcription.model).continuous

    def updated(self, session: Mapping[str, Any]) -> "SessionConfig":
        """These settings, with what the wire's ``session`` object says: absent is unchanged, null clears.

        Raises:
            InvalidRequestError: Names the first field that is missing, malformed or in contradiction.
        """
        if session.get("type") not in (None, "transcription"):
            raise UnsupportedValueError(
                "This server has transcription sessions only: 'session.type' is 'transcription'.",
                param="session.type",
            )
        audio = as_object(session.get("audio"), "session.audio")
        given = as_object(audio.get("input"), _INPUT)
        parts: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        for name, merge in _MERGES.items():
            if name in given:
                parts[name] = merge(parts[name], given[name], f"{_INPUT}.{name}")
        if "include" in session:
            check_length(session["include"], _MAX_ITEMS, "session.include")
            parts["include"] = session["include"]
        config = validated(SessionConfig, parts, "session")
        if not config.is_continuous:
            return config
        if given.get("turn_detection") is not None:
            raise UnsupportedValueError(
                "This model transcribes all along, without turns: 'turn_detection' must be null.",
                param=f"{_INPUT}.turn_detection",
            )
        return config.model_copy(update={"turn_detection": None})

    def to_wire(self) -> dict[str, Any]:
        """The wire's `session` object. `updated` with it gives the same settings."""
        given = {
            "format": self.format.to_wire(),
            "transcription": self.transcription and self.transcription.to_wire(),
            "noise_reduction": self.noise_reduction and self.noise_reduction.model_dump(),
            "turn_detection": self.turn_detection and self.turn_detection.model_dump(exclude_none=True),
        }
        return {"type": "transcription", "audio": {"input": given}, "include": list(self.include)}


def session_object(config: SessionConfig, *, session_id: str, expires_at: int | None) -> dict[str, Any]:
    """The settings, and what the session is called; ``expires_at`` in seconds since 1970."""
    identity: dict[str, Any] = {"id": session_id, "object": "realtime.transcription_session"}
    if expires_at is not None:
        identity["expires_at"] = expires_at
    return identity | config.to_wire()


def _merge_format(current: AudioFormat, given: object, param: str) -> AudioFormat:
    fields = as_object(given, param)
    is_same = fields.get("type") in (None, current.type) and given is not None
    return validated(AudioFormat, {**(_fields(current) if is_same else {}), **fields}, param)


def _merge_transcription(current: Transcription | None, given: object, param: str) -> Transcription | None:
    if given is None:
        return None
    fields = {**_fields(current), **as_object(given, param)}
    for name in ("languages", "keywords"):
        check_length(fields.get(name), _MAX_ITEMS, f"{param}.{name}")
    # One of the two replaces the other, else a language of before would outrank the languages of now.
    for name, other in {"language": "languages", "languages": "language"}.items():
        if fields.get(name) and name in as_object(given, param) and other not in as_object(given, param):
            fields.pop(other, None)
    form = {name: fields[name] for name in _OF_THE_FORM if name in fields}
    checked = validated(request.TranscriptionRequest, form, param)
    try:
        check_combinations(checked)
    except InvalidRequestError as error:
        raise error.under(f"{param}.{error.param}") from None
    fields |= {name: getattr(checked, name) for name in _OF_THE_FORM}
    return validated(Transcription, fields, param)


def _merge_noise_reduction(
    current: NoiseReduction | None, given: object, param: str
) -> NoiseReduction | None:
    if given is None:
        return None
    # Of another type, too: "omitting strength from a session update preserves the current strength".
    return validated(NoiseReduction, {**_fields(current), **as_object(given, param)}, param)


def _merge_turn_detection(
    current: ServerVad | SemanticVad | None, given: object, param: str
) -> ServerVad | SemanticVad | None:
    if given is None:
        return None
    fields = as_object(given, param)
    kind = fields.get("type")
    if kind is None and current is not None:
        kind = current.type
    before = _fields(current) if current and current.type == kind else {}
    match kind:
        case "server_vad":
            return validated(ServerVad, {**before, **fields, "type": kind}, param)
        case "semantic_vad":
            return validated(SemanticVad, {**before, **fields, "type": kind}, param)
        case None:
            raise InvalidRequestError(
                f"Missing required parameter: '{param}.type'.",
                param=f"{param}.type",
                code="missing_required_parameter",
            )
        case _:
            raise invalid_value(f"{param}.type", "It is 'server_vad' or 'semantic_vad'")


def _fields(part: BaseModel | None) -> dict[str, Any]:
    return {} if part is None else part.model_dump()


_MERGES: Mapping[str, Callable[[Any, object, str], Any]] = {
    "format": _merge_format,
    "transcription": _merge_transcription,
    "noise_reduction": _merge_noise_reduction,
    "turn_detection": _merge_turn_detection,
}
