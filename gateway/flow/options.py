"""What a live session was asked for, as the rooms behind understand it."""

from dataclasses import dataclass, field
from typing import Literal

from gateway.audio.pcm import Encoding
from gateway.audio.turns import TurnOptions
from gateway.engine.api import DecodeOptions, Model
from gateway.transcript.stable import StabilityOptions


@dataclass(frozen=True, slots=True)
class NoiseReduction:
    """As `gateway.audio.denoise.Denoiser` takes it."""

    kind: Literal["near_field", "far_field"]
    strength: float


@dataclass(frozen=True, slots=True)
class PartialOptions:
    """How an utterance that goes on is decoded.

    Attributes:
        step: Seconds of new audio at least, before it is decoded again; infinite tells what is settled only.
        beam_size: Smaller than that of finals, as most of its work is thrown away.
        prefix: A hypothesis must begin with what was told, where the engine can be made to. It holds on to
            what was wrong, too: with the miniature, fewer finals began with what was told than without.
    """

    step: float = 0.5
    beam_size: int = 1
    prefix: bool = False
    stability: StabilityOptions = field(default_factory=StabilityOptions)


@dataclass(frozen=True, slots=True)
class Recognition:
    """By which model utterances are transcribed, and how.

    Attributes:
        name: The model's name as the client wrote it.
        partials: None tells an utterance's text when it is over.
    """

    model: Model
    name: str
    decoding: DecodeOptions
    partials: PartialOptions | None


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """Everything a client may change in mid-session.

    Attributes:
        rate: Samples per second of what the client sends.
        recognition: None transcribes nothing, and only tells of speech. An utterance keeps that of its start.
        eagerness: Of `TurnMode.SEMANTIC_VAD`.
    """

    encoding: Encoding = "pcm16"
    rate: int = 24_000
    noise_reduction: NoiseReduction | None = None
    turns: TurnOptions = field(default_factory=TurnOptions)
    recognition: Recognition | None = None
    eagerness: Literal["low", "medium", "high"] = "medium"

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample of what the client sends."""
        return 2 if self.encoding == "pcm16" else 1
