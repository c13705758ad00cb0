"""How a live stream's utterances end, and what the segmenter says about them."""

from dataclasses import dataclass, field
from enum import Enum, auto

from gateway.audio.types import SAMPLE_RATE, Chunk
from gateway.audio.vad import VadOptions


class TurnMode(Enum):
    """Who ends an utterance: a silence, a silence as long as the words before it suggest, or the client."""

    SERVER_VAD = auto()
    SEMANTIC_VAD = auto()
    MANUAL = auto()


@dataclass(frozen=True, slots=True)
class TurnOptions:
    """How a live stream is cut.

    Attributes:
        vad: `silence_duration_ms` ends an utterance in `TurnMode.SERVER_VAD` only.
        patience: Samples of silence that end an utterance in `TurnMode.SEMANTIC_VAD` without `advance`.
        max_pause: Samples of silence that end a chunk, though not the utterance.
        idle: Samples without speech after which `IdleTimeout` is given; None never.
    """

    mode: TurnMode = TurnMode.SERVER_VAD
    vad: VadOptions = field(default_factory=lambda: VadOptions(silence_duration_ms=500))
    patience: int = 4 * SAMPLE_RATE
    max_pause: int = SAMPLE_RATE * 3 // 2
    idle: int | None = None


@dataclass(frozen=True, slots=True)
class UtteranceStarted:
    """Speech began, or went on after a commit; ``start`` counts the prefix padding in.

    Attributes:
        detected: False where no speech was, and a commit made an utterance of what there is.
    """

    start: int
    detected: bool = True


@dataclass(frozen=True, slots=True)
class UtterancePaused:
    """The speaker is silent for a moment. If nothing more is said, ``chunk`` is the utterance's last one."""

    chunk: Chunk


@dataclass(frozen=True, slots=True)
class ChunkReady:
    """A chunk of the utterance is complete; its times and samples are final."""

    chunk: Chunk


@dataclass(frozen=True, slots=True)
class UtteranceEnded:
    """No more chunks of the utterance come. ``end`` counts the silence in that was waited for."""

    end: int


@dataclass(frozen=True, slots=True)
class IdleTimeout:
    """Nobody spoke from one position in the stream to another."""

    start: int
    end: int


SegmenterEvent = UtteranceStarted | UtterancePaused | ChunkReady | UtteranceEnded | IdleTimeout
