"""What recordings and live sessions are asked for, as the flow understands it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal

import anyio

from gateway.audio.pcm import Encoding
from gateway.audio.silero import SileroModel
from gateway.audio.turns import TurnOptions
from gateway.engine.api import DecodeOptions, Recognizer
from gateway.flow.speakers import Speakers
from gateway.metrics import Metrics
from gateway.transcript.stable import StabilityOptions
from gateway.transcript.writing import Eagerness


@dataclass(frozen=True, slots=True)
class Resources:
    """What all recordings and sessions of one application share.

    Attributes:
        vad: The Silero model; each stream has its own state.
        cutters: Threads that may decode and cut recordings at the same time.
        hear: Told of the seconds of audio that a client has decoded.
    """

    vad: SileroModel
    cutters: anyio.CapacityLimiter
    metrics: Metrics
    hear: Callable[[float], None] = lambda _: None

    def count(self, seconds: float) -> None:
        """Takes note of decoded audio."""
        self.metrics.audio_seconds.inc(seconds)
        self.hear(seconds)


@dataclass(frozen=True, slots=True)
class NoiseReduction:
    """Which noise reduction the audio passes first; see `gateway.audio.denoise.Denoiser`."""

    kind: Literal["near_field", "far_field"]
    strength: float


@dataclass(frozen=True, slots=True)
class PartialOptions:
    """How speech that goes on is decoded, before its chunk is complete.

    Attributes:
        step: Seconds of new audio at least, before it is decoded again; infinite: only complete chunks are.
        breath: The same as a multiple of what the last one took, so that under load they thin out.
        beam_size: Smaller than that of final results, as most of its work is thrown away.
        stability: Which words of a partial result are emitted as text that is never taken back.
        consistent: The final text begins with what was emitted, though the final hypothesis has it otherwise.
    """

    step: float = 0.5
    breath: float = 1.5
    beam_size: int = 1
    stability: StabilityOptions = field(default_factory=StabilityOptions)
    consistent: bool = False


@dataclass(frozen=True, slots=True)
class Recognition:
    """By which model speech is transcribed, and how.

    Attributes:
        lease: Gives the model, loaded, until the context is left.
        model: The model's name as the client wrote it.
        partials: None emits a chunk's text when the chunk is complete.
        detects_language: The model can tell which language is spoken.
        speakers: They are told apart by their voices.
        channel_names: Of the speakers, where each has a channel; the first channel's first.
        words: The client wants the words' times. `speakers` have them decoded, too, for themselves.
    """

    lease: Callable[[], AbstractAsyncContextManager[Recognizer]]
    model: str
    decoding: DecodeOptions
    partials: PartialOptions | None = None
    detects_language: bool = False
    speakers: Speakers | None = None
    words: bool = False
    channel_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """Everything that the client of a live session may change while it goes on.

    Attributes:
        rate: Samples per second of what the client sends.
        recognition: None transcribes nothing, and only tells of speech. An utterance keeps that of its start.
        eagerness: How soon a silence ends a turn in `TurnMode.SEMANTIC_VAD`.
    """

    encoding: Encoding = "pcm16"
    rate: int = 24_000
    noise_reduction: NoiseReduction | None = None
    turns: TurnOptions = field(default_factory=TurnOptions)
    recognition: Recognition | None = None
    eagerness: Eagerness = "medium"

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample of what the client sends."""
        return 2 if self.encoding == "pcm16" else 1
