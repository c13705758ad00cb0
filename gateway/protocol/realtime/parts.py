"""The parts of a transcription session's settings, as the wire's `audio.input` has them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

TURNS = "null: the client commits. Models that transcribe all along have no other."


G711_RATE = 8_000

Wire = dict[str, Any]


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
