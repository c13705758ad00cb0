"""What a transcription session is set to, and how a partial `session` object of the wire changes it."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NotRequired

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetPydanticSchema,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from gateway.errors import InvalidRequestError, UnsupportedValueError
from gateway.protocol.contracts import contract
from gateway.protocol.events import about
from gateway.protocol.parse import as_object, check_length, invalid_value, missing, validated
from gateway.protocol.realtime.fields import (
    INPUT,
    LEGACY_NAMES,
    MEANINGLESS,
    Known,
    as_given,
    refuse_unknown,
    todays_input,
)
from gateway.protocol.request import TranscriptionRequest, check_combinations

LOGPROBS = "item.input_audio_transcription.logprobs"

WORDS = "item.input_audio_transcription.words"

Include = Literal["item.input_audio_transcription.logprobs", "item.input_audio_transcription.words"]

INCLUDE = (
    f"`{LOGPROBS}` adds log-probabilities to deltas and completed transcripts; `{WORDS}`, an extension, "
    "`words` with their times to completed ones."
)
TURNS = "null: the client commits. Models that transcribe all along have no other."

G711_RATE = 8_000

_MAX_ITEMS = 1_000
"""Of a list, before anything else is looked at; the fields' own limits are lower."""

_OF_THE_FORM = ("model", "language", "languages", "prompt", "keywords")
"""What a session's transcription shares with the form of an upload; the same rules hold."""


Wire = dict[str, Any]


def written(kind: Any) -> GetPydanticSchema:
    """Marks a dict of the wire as what the model ``kind`` describes, in the OpenAPI document."""
    return GetPydanticSchema(lambda _, handler: handler.generate_schema(kind))


class Part(BaseModel):
    """Settings as JSON: it has types of its own, so a number in quotes is a mistake.

    The models are what the OpenAPI document shows. Where null has a meaning of its own a factory makes it: a
    plain default of null is published as "may be missing".
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        strict=True,
        model_title_generator=lambda kind: f"Realtime{kind.__name__}",
    )


def _none() -> None:
    return None


def _type_is_required(schema: dict[str, Any]) -> None:
    """Only code may leave it out."""
    schema["required"] = ["type"]
    del schema["properties"]["type"]["default"]


class AudioFormat(Part):
    """What the appended bytes are: 16-bit little-endian PCM or G.711, mono."""

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = Field(
        "audio/pcm", description="Or one of G.711's."
    )
    # Others than OpenAI's 24000 are an extension.
    rate: int = Field(
        24_000, ge=8_000, le=48_000, description="Samples per second of PCM; G.711 has 8000, and says none."
    )

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

    @property
    def bytes_per_second(self) -> int:
        """Of the appended audio."""
        return self.rate * (2 if self.type == "audio/pcm" else 1)

    def to_wire(self) -> Wire:
        """Without the rate where the type says it."""
        return {"type": self.type, "rate": self.rate} if self.type == "audio/pcm" else {"type": self.type}


class Transcription(Part):
    """How speech is transcribed."""

    model: str = Field(description="Any name of the list of models.", examples=["gpt-4o-transcribe"])
    language: str | None = Field(default_factory=_none, description="ISO 639-1; null: it is detected.")
    languages: tuple[str, ...] = Field(
        default_factory=tuple, description="Languages to choose from, instead of `language`."
    )
    prompt: str | None = Field(default_factory=_none, description="Text for style and spelling.")
    keywords: tuple[str, ...] = Field(default_factory=tuple, description="Words and names to expect.")
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = Field(
        None, description="How long to wait for more audio before text is sent."
    )

    def to_wire(self) -> Wire:
        """With the fields that only newer clients know where they are set."""
        wire: Wire = {"model": self.model, "language": self.language, "prompt": self.prompt}
        newer = {"languages": list(self.languages), "keywords": list(self.keywords), "delay": self.delay}
        return wire | {name: value for name, value in newer.items() if value}


class NoiseReduction(Part):
    """Filters the audio before anything else hears it."""

    type: Literal["near_field", "far_field"] = Field(description="A headset, or a microphone in the room.")
    strength: float = Field(1.0, ge=0, le=1, allow_inf_nan=False, description="0 changes nothing.")


class ServerVad(Part):
    """Turns end with silence."""

    # OpenAI's `create_response` and `interrupt_response` have no meaning here.
    model_config = ConfigDict(json_schema_extra=_type_is_required)

    type: Literal["server_vad"] = "server_vad"
    threshold: float = Field(
        0.5, ge=0, le=1, allow_inf_nan=False, description="Probability from which a sound is speech."
    )
    prefix_padding_ms: int = Field(300, ge=0, le=5_000, description="Audio kept before the speech.")
    silence_duration_ms: int = Field(500, ge=0, le=10_000, description="Silence that ends a turn.")
    idle_timeout_ms: Annotated[int, Field(ge=5_000, le=30_000)] | None = Field(
        None, description="Silence that becomes a turn of its own; unset: none does."
    )


class SemanticVad(Part):
    """Turns end where the sentence does, or after a longer silence."""

    model_config = ConfigDict(json_schema_extra=_type_is_required)

    type: Literal["semantic_vad"] = "semantic_vad"
    eagerness: Literal["low", "medium", "high", "auto"] = Field(
        "auto", description="Waits at most 8, 4 or 2 seconds; auto is medium."
    )


TurnDetection = ServerVad | SemanticVad


class Input(Part):
    """What comes in."""

    format: AudioFormat = Field(AudioFormat(), description="Of the appended audio.")
    transcription: Transcription | None = Field(
        default_factory=_none, description="null: speech is told apart, but not transcribed."
    )
    noise_reduction: NoiseReduction | None = Field(default_factory=_none, description="null: none.")
    turn_detection: TurnDetection | None = Field(default_factory=_none, description=TURNS)


class RealtimeAudio(TypedDict):
    """A session's audio."""

    input: NotRequired[
        Annotated[Wire, written(Input), about("What the client sends.", default=Input().model_dump())]
    ]


class RealtimeSettings(TypedDict):
    """A transcription session's settings; what is not said is as in a session of the first model."""

    type: NotRequired[
        Annotated[Literal["transcription"], about("There are no conversations.", default="transcription")]
    ]
    audio: NotRequired[
        Annotated[
            RealtimeAudio,
            about("What the client sends, and how it is heard.", default={"input": Input().model_dump()}),
        ]
    ]
    include: NotRequired[Annotated[list[Include], about(INCLUDE, default=[])]]


class SessionConfig(Input):
    """A session's settings: what comes in and what is told of it."""

    include: tuple[Include, ...] = Field((), strict=False)

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
    def wants_words(self) -> bool:
        """`include` asks for the words' times."""
        return WORDS in self.include

    @property
    def is_continuous(self) -> bool:
        """The model's name says that deltas flow all along, without turns."""
        return self.transcription is not None and contract(self.transcription.model).continuous

    def updated(self, session: Mapping[str, Any]) -> "SessionConfig":
        """These settings, with what the wire's ``session`` object says: absent is unchanged, null clears.

        Of a session for conversations only what is heard counts: it is transcribed, and never answered.

        Raises:
            InvalidRequestError: Names the first field that is unknown, missing, wrong or in contradiction.
        """
        refuse_unknown(session, _KNOWN, "session")
        if session.get("type") not in (None, "transcription", "realtime"):
            raise UnsupportedValueError(
                "This server has transcription sessions only: 'session.type' is 'transcription'.",
                param="session.type",
            )
        try:
            return self._updated(session, todays_input(session))
        except InvalidRequestError as error:
            raise as_given(error, session) from None

    def _updated(self, session: Mapping[str, Any], given: Mapping[str, Any]) -> "SessionConfig":
        parts: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        for name, merge in _MERGES.items():
            if name in given:
                parts[name] = merge(parts[name], given[name], f"{INPUT}.{name}")
        if "include" in session:
            check_length(session["include"], _MAX_ITEMS, "session.include")
            parts["include"] = session["include"]
        config = validated(SessionConfig, parts, "session")
        if not config.is_continuous:
            return config
        if given.get("turn_detection") is not None:
            raise UnsupportedValueError(
                "This model transcribes all along, without turns: 'turn_detection' must be null.",
                param=f"{INPUT}.turn_detection",
            )
        return config.model_copy(update={"turn_detection": None})

    def to_wire(self) -> RealtimeSettings:
        """The wire's `session` object. `updated` with it gives the same settings."""
        given = {
            "format": self.format.to_wire(),
            "transcription": self.transcription and self.transcription.to_wire(),
            "noise_reduction": self.noise_reduction and self.noise_reduction.model_dump(),
            "turn_detection": self.turn_detection and self.turn_detection.model_dump(exclude_none=True),
        }
        return {"type": "transcription", "audio": {"input": given}, "include": list(self.include)}


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
    checked = validated(TranscriptionRequest, form, param)
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


def _merge_turn_detection(current: TurnDetection | None, given: object, param: str) -> TurnDetection | None:
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
            raise missing(f"{param}.type")
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


_TURNS = dict.fromkeys(
    [*ServerVad.model_fields, *SemanticVad.model_fields, "create_response", "interrupt_response"]
)
_PARTS: Known = {
    "format": dict.fromkeys(AudioFormat.model_fields),
    "transcription": dict.fromkeys(Transcription.model_fields),
    "noise_reduction": dict.fromkeys(NoiseReduction.model_fields),
    "turn_detection": _TURNS,
}
_KNOWN: Known = {
    **dict.fromkeys(["type", "include", *MEANINGLESS]),
    "audio": {"input": _PARTS, "output": None},
    **{flat: _PARTS[name] for flat, name in LEGACY_NAMES.items()},
}
"""All that OpenAI's session types have, today's and the beta's, and our extensions."""
