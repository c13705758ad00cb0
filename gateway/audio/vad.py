"""Where speech begins and ends: four states over the probabilities of frames, apart from the model."""

from dataclasses import dataclass
from enum import Enum, auto

from gateway.audio.silero import FRAME
from gateway.audio.types import SAMPLE_RATE

HYSTERESIS = 0.15
"""Speech ends this much below the threshold at which it begins: Silero's own ``neg_threshold``."""

ONSET_FRAMES = 3
"""96 ms. The shortest words reach the threshold for longer; clicks and knocks do so for one or two frames."""

ONSET_PATIENCE = 8
"""The frames after the first in which the others must come: a soft start wavers, like Silero's own."""

MAX_PREFIX = 5 * SAMPLE_RATE
"""More padding before an onset would fill the chunk."""


@dataclass(frozen=True, slots=True)
class Onset:
    """Speech began at ``sample`` (padding not included)."""

    sample: int


@dataclass(frozen=True, slots=True)
class Offset:
    """Speech ended at ``sample`` (the first sample of the silence)."""

    sample: int


@dataclass(frozen=True, slots=True)
class VadOptions:
    """OpenAI's ``server_vad`` parameters, with its defaults.

    Attributes:
        threshold: Probability from which a frame is speech, 0 to 1.
        prefix_padding_ms: Audio kept before an onset.
        silence_duration_ms: Silence that ends speech.
    """

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 200

    @property
    def neg_threshold(self) -> float:
        """Probability below which speech is ending; positive, or it never would."""
        return max(self.threshold - HYSTERESIS, 0.01)

    @property
    def prefix_samples(self) -> int:
        """`prefix_padding_ms` in samples, at most `MAX_PREFIX`."""
        return min(self.prefix_padding_ms * SAMPLE_RATE // 1000, MAX_PREFIX)

    @property
    def silence_samples(self) -> int:
        """`silence_duration_ms` in samples."""
        return self.silence_duration_ms * SAMPLE_RATE // 1000


class VadState(Enum):
    """Whether somebody speaks: certainly, or about to begin or to stop."""

    QUIET = auto()
    STARTING = auto()
    SPEAKING = auto()
    STOPPING = auto()


class Vad:
    """Turns frame probabilities into onsets and offsets, alternating, in stream order.

    ``options`` may be changed between frames.

    An onset lies at the first of its frames, an offset at the first frame of the silence, as in Silero's
    `VADIterator` without padding; unlike there, a start of less than `ONSET_FRAMES` frames is dropped.
    """

    def __init__(self, options: VadOptions) -> None:
        self.options = options
        self._frames = 0
        self._mark = 0
        """Frame at which the current STARTING or STOPPING began."""
        self._hits = 0
        self.state = VadState.QUIET

    @property
    def position(self) -> int:
        """Samples of the frames so far."""
        return self._frames * FRAME

    @property
    def speaking(self) -> bool:
        """An onset was given, and not yet its offset."""
        return self.state in {VadState.SPEAKING, VadState.STOPPING}

    @property
    def silence(self) -> int:
        """Samples since speech seems to have stopped; 0 unless STOPPING."""
        return (self._frames - self._mark) * FRAME if self.state is VadState.STOPPING else 0

    def stop(self) -> Offset | None:
        """Ends speech here, or where its silence began; the next speech is a new onset."""
        speaking, sample = self.speaking, self.position - self.silence
        self.state = VadState.QUIET
        return Offset(sample) if speaking else None

    def step(self, probability: float) -> Onset | Offset | None:
        """Takes the next frame's probability of speech; gives the onset or offset that is certain with it."""
        frame = self._frames
        self._frames += 1
        is_speech = probability >= self.options.threshold
        is_silence = probability < self.options.neg_threshold
        match self.state:
            case VadState.QUIET if is_speech:
                self.state, self._mark, self._hits = VadState.STARTING, frame, 1
            case VadState.STARTING:
                return self._starting(frame, is_speech=is_speech)
            case VadState.SPEAKING if is_silence:
                self.state, self._mark = VadState.STOPPING, frame
            case VadState.STOPPING if is_speech:
                self.state = VadState.SPEAKING
            # Counted from the end of the first silent frame, as Silero counts.
            case VadState.STOPPING if is_silence and self.silence - FRAME >= self.options.silence_samples:
                self.state = VadState.QUIET
                return Offset(self._mark * FRAME)
        return None

    def _starting(self, frame: int, *, is_speech: bool) -> Onset | None:
        self._hits += is_speech
        if self._hits >= ONSET_FRAMES:
            self.state = VadState.SPEAKING
            return Onset(self._mark * FRAME)
        if frame - self._mark >= ONSET_PATIENCE:
            # What came too late for that start may be one itself.
            self.state = VadState.STARTING if is_speech else VadState.QUIET
            self._mark, self._hits = frame, 1
        return None
