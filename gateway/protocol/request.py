"""What a client may ask of a transcription or a translation beside the file, and what goes together."""

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from gateway.errors import InvalidRequestError, UnsupportedValueError
from gateway.protocol.contracts import LIMITED_PARAMETERS, contract
from gateway.protocol.languages import language_code
from gateway.protocol.references import check_speakers
from gateway.protocol.subtitles import SubtitleStyle

ResponseFormat = Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"]
Language = Annotated[str, Field(min_length=1, max_length=32), AfterValidator(language_code)]
Text = Annotated[str, Field(min_length=1, max_length=500)]

UNSET = frozenset({"", "null", "none", "undefined", "nil"})
"""What clients write into a form that has no null, for a field that they mean to leave out."""

_ANY_LANGUAGE = frozenset(
    {"auto", "auto-detect", "auto_detect", "autodetect", "automatic", "detect", "mul", "multi", "und"}
)
"""What clients of other servers say where the language is to be heard."""


class ServerVad(BaseModel):
    """The `chunking_strategy` object."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: Literal["server_vad"] = Field(description="The only kind there is.")
    threshold: float = Field(
        0.5, ge=0, le=1, allow_inf_nan=False, description="Speech probability above which speech begins."
    )
    prefix_padding_ms: int = Field(
        300, ge=0, le=5_000, description="Milliseconds of audio kept before speech begins."
    )
    silence_duration_ms: int = Field(
        200, ge=0, le=10_000, description="Milliseconds of silence after which speech has ended."
    )


class TranslationRequest(SubtitleStyle):
    """The fields of `POST /v1/audio/translations` beside the file, and of every transcription.

    Sources: the published OpenAPI document; temperature up to 2 and `seed` as other providers have them. The
    subtitle fields, `track`, and `language` and `stream` of a translation are extensions of ours.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: Annotated[str, StringConstraints(strip_whitespace=True)] = Field(
        min_length=1, max_length=256, description="A name from `/v1/models`.", examples=["whisper-1"]
    )
    language: Language | None = Field(
        None,
        description="The language spoken, as code or English name; unset or `auto`: decided from the audio.",
        examples=["en"],
    )
    prompt: Annotated[str, Field(max_length=65_536)] | None = Field(
        None, description="Text that might have come before: sets spelling and style."
    )
    response_format: ResponseFormat = Field("json", description="The answer's shape.")
    temperature: float = Field(
        0.0,
        ge=0,
        le=2,
        allow_inf_nan=False,
        description="0 takes the best reading; above, how freely one of the best is drawn.",
    )
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = Field(
        None, description="With a temperature above 0: the same seed gives the same text."
    )
    stream: bool = Field(default=False, description="Answer with an event stream as the text is decoded.")
    track: Annotated[int, Field(ge=1, le=1_000)] | None = Field(
        None,
        description="Which sound track of a film, from 1; unset: the default one, or if it is silent another "
        "one that is not.",
    )

    @model_validator(mode="before")
    @classmethod
    def _read_loosely(cls, form: Mapping[str, Any]) -> dict[str, Any]:
        """Fields that mean nothing are not set, and words of a fixed choice count in any case.

        Clients that bind an empty input box send the field empty, and those in JavaScript send ``null``.
        """
        given = {
            name: value for name, value in form.items() if name == "model" or not _means_unset(name, value)
        }
        return {name: _read(name, value) for name, value in given.items()}


_CHOICES = frozenset(
    {
        "response_format",
        "chunking_strategy",
        "type",
        "include",
        "timestamp_granularities",
        "channels",
        "stream",
    }
)
"""Fields whose values are words of ours, that of an object in one of them among these."""

_WORDS = _CHOICES | {"languages"}
"""Fields whose lists hold words, among which an empty one is a slip."""


def _read(name: str, value: object) -> object:
    if isinstance(value, list | tuple) and name in _WORDS:
        return [_read(name, each) for each in value if not _means_unset(name, each)]
    if isinstance(value, Mapping):
        return {key: _read(key, each) for key, each in value.items() if not _means_unset(key, each)}
    return value.strip().lower() if name in _CHOICES and isinstance(value, str) else value


def _means_unset(name: str, value: object) -> bool:
    if not isinstance(value, str):
        return value is None
    word = value.strip().lower()
    return word in UNSET or (name in {"language", "languages"} and word in _ANY_LANGUAGE)


class TranscriptionRequest(TranslationRequest):
    """The fields of `POST /v1/audio/transcriptions` beside the file."""

    languages: tuple[Language, ...] = Field(
        (), max_length=100, description="Languages that may be spoken; each chunk is one of them."
    )
    keywords: tuple[Text, ...] = Field(
        (), max_length=1_000, description="Names and terms that the recording may hold."
    )
    chunking_strategy: Literal["auto", "whole"] | ServerVad | None = Field(
        None,
        description="How the recording is cut: `auto` in its pauses, an object with options of its own; "
        "`whole`, an extension, not at all: it is at most 30 s, and was cut by who sends it; unset as the "
        "operator chose.",
    )
    include: tuple[Literal["logprobs"], ...] = Field(
        (), description="`logprobs`: each token's log-probability, with response_format=json."
    )
    timestamp_granularities: tuple[Literal["word", "segment"], ...] = Field(
        (), description="What verbose_json gives times for; `word` needs it."
    )
    known_speaker_names: tuple[Text, ...] = Field(
        (), description="At most four speakers whose names are to stand in the answer."
    )
    known_speaker_references: tuple[str, ...] = Field(
        (), description="For each name a data URL with 2 to 10 s of the voice, in any format."
    )
    num_speakers: Annotated[int, Field(ge=1, le=32)] | None = Field(
        None, description="So many people speak, if that is known. An extension."
    )
    max_speakers: Annotated[int, Field(ge=1, le=32)] | None = Field(
        None, description="No more people than so many speak. An extension."
    )
    channels: Literal["speakers"] | None = Field(
        None,
        description="`speakers`: one person speaks on each channel, as in calls; the first is A, "
        "or has the first of known_speaker_names, which need no references then. Unset: channels are mixed. "
        "An extension.",
    )

    @property
    def wants_logprobs(self) -> bool:
        """`include[]` asks for token log-probabilities."""
        return "logprobs" in self.include

    @property
    def by_channel(self) -> bool:
        """Each channel is a speaker's."""
        return self.channels == "speakers"

    @property
    def wants_speakers(self) -> bool:
        """The answer tells who spoke: diarized_json does, and what else has room for it where asked."""
        asks = self.num_speakers or self.max_speakers or self.known_speaker_names or self.channels
        return self.response_format == "diarized_json" or (
            self.response_format in {"srt", "vtt", "verbose_json"}
            and bool(asks or contract(self.model).diarizes)
        )


_EXTENSIONS = {"seed", "num_speakers", "max_speakers", "channels"}
TRANSLATION_FIELDS = frozenset({"model", "prompt", "response_format", "temperature"})
TRANSCRIPTION_FIELDS = (
    TranscriptionRequest.model_fields.keys() - SubtitleStyle.model_fields.keys() - _EXTENSIONS
)
"""The fields of OpenAI's published document."""


def check_combinations(request: TranscriptionRequest) -> None:
    """Refuses what contradicts itself, whatever the model.

    Raises:
        InvalidRequestError: The combination has no meaning.
        UnsupportedValueError: It has one, but not here.
    """
    if "word" in request.timestamp_granularities and request.response_format != "verbose_json":
        raise InvalidRequestError(
            "timestamp_granularities[]=word needs response_format=verbose_json.",
            param="timestamp_granularities",
        )
    if request.include and request.response_format != "json":
        raise InvalidRequestError("include[]=logprobs needs response_format=json.", param="include")
    if request.stream and request.response_format in {"srt", "vtt"}:
        raise InvalidRequestError(
            f"stream=true does not go with response_format={request.response_format}: "
            "subtitles are a file, not events.",
            param="response_format",
        )
    if contract(request.model).diarizes:
        _refuse_set(request, ("prompt", "include", "timestamp_granularities"))
    if request.by_channel:
        _refuse_beside_channels(request)
    check_speakers(
        request.known_speaker_names, request.known_speaker_references, by_channel=request.by_channel
    )
    if request.num_speakers and request.max_speakers and request.num_speakers > request.max_speakers:
        raise InvalidRequestError("num_speakers is more than max_speakers.", param="num_speakers")


def _refuse_beside_channels(request: TranscriptionRequest) -> None:
    for name in ("num_speakers", "max_speakers", "known_speaker_references"):
        if getattr(request, name):
            raise InvalidRequestError(
                f"{name} does not go with channels=speakers: the channels say who speaks.", param=name
            )


def refuse_unknown(form: Collection[str], known: Collection[str]) -> None:
    """Refuses fields that OpenAI does not know.

    Raises:
        InvalidRequestError: Names the first one.
    """
    for name in form:
        if name not in known:
            raise InvalidRequestError(f"Unrecognized request argument supplied: {name}", param=name)


def check_strictly(request: TranscriptionRequest) -> None:
    """Refuses what OpenAI refuses of this model, and this gateway does not (`strict_openai`).

    Raises:
        InvalidRequestError: Beyond OpenAI's range.
        UnsupportedValueError: OpenAI's model of this name cannot do it.
    """
    if request.temperature > 1:
        raise InvalidRequestError("Invalid value for 'temperature': It is at most 1.", param="temperature")
    expected = contract(request.model)
    if request.response_format not in expected.formats:
        raise UnsupportedValueError(
            f"response_format '{request.response_format}' is not compatible with model '{request.model}'. "
            f"Use {' or '.join(repr(name) for name in expected.formats)} instead.",
            param="response_format",
        )
    _refuse_set(request, [name for name in LIMITED_PARAMETERS if name not in expected.takes])


def _refuse_set(request: TranscriptionRequest, names: Iterable[str]) -> None:
    for name in names:
        if getattr(request, name):
            raise UnsupportedValueError(
                f"'{name}' is not supported with the model '{request.model}'.", param=name
            )
