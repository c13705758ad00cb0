"""A chunk on its way through one or more windows of the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.audio.types import SAMPLE_RATE
from gateway.engine.whisper.features import WINDOW_FRAMES
from gateway.transcript import Hypothesis, Segment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gateway.engine.api import DecodeOptions, DecodeRequest, RowFailed

FRAMES_PER_SECOND = 100

MIN_REMAINDER_FRAMES = 20
"""What is left of a chunk is decoded only if a word fits in it: shorter rests invite inventions. A row
that may leave its tail to the next one tells at least as much, or a long recording would take for ever."""


@dataclass(slots=True)
class Row:
    """One row of a batch.

    Attributes:
        features: Shape (mels, frames of 10 ms).
        language: As given, else as detected; None until then.
        seek: Frames transcribed so far; the next window begins here.
        prompt_tokens: Of prompt and keywords together.
        failure: It ends here, without a result.
    """

    request: DecodeRequest
    features: NDArray[np.float32]
    language: str | None
    language_probability: float = 1.0
    seek: int = 0
    prompt_tokens: int = 0
    segments: list[Segment] = field(default_factory=list)
    was_detected: bool = False
    failure: RowFailed | None = None

    @property
    def options(self) -> DecodeOptions:
        """Of the request."""
        return self.request.options

    @property
    def duration(self) -> float:
        """Seconds of the chunk."""
        return len(self.request.samples) / SAMPLE_RATE

    @property
    def window(self) -> NDArray[np.float32]:
        """Features of the present window."""
        return self.features[:, self.seek : self.seek + WINDOW_FRAMES]

    @property
    def unfinished(self) -> bool:
        """Another window is due."""
        frames: int = self.features.shape[1]
        due = self.request.whole or self.seek < MIN_REMAINDER_FRAMES
        return self.failure is None and due and frames - self.seek >= MIN_REMAINDER_FRAMES

    @property
    def consumed(self) -> float | None:
        """Seconds up to where the next row begins; None where nothing is left to it."""
        left = not self.request.whole and self.seek < self.features.shape[1]
        return self.seek / FRAMES_PER_SECOND if left else None

    @property
    def spoken(self) -> str:
        """The language to decode in."""
        if self.language is None:
            raise RuntimeError("The language of this row has not been detected yet")
        return self.language

    @property
    def seed(self) -> tuple[int, ...] | None:
        """Entropy for drawing the present window's text; None where nothing need repeat."""
        if self.options.seed is None or self.options.temperature == 0:
            return None
        return (self.options.seed % 2**64, self.seek)

    def detected(self, language: str, probability: float) -> None:
        """Settles the language for all windows of the chunk."""
        self.language, self.language_probability, self.was_detected = language, probability, True

    def forget_language(self) -> None:
        """Has the language detected again, where this window's detection gave it."""
        if self.was_detected and self.seek == 0:
            self.language, self.language_probability, self.was_detected = None, 1.0, False

    def at(self, seconds: float) -> float:
        """Seconds from the chunk's first sample, given those from the present window's."""
        return min(self.seek / FRAMES_PER_SECOND + seconds, self.duration)

    def hypothesis(self) -> Hypothesis:
        """The row's result. Without text a detected language would be arbitrary, so there is none."""
        nothing = self.was_detected and not self.segments
        return Hypothesis(
            segments=tuple(self.segments),
            language=None if nothing else self.language,
            language_probability=0.0 if nothing else self.language_probability,
            prompt_tokens=self.prompt_tokens,
            consumed=self.consumed,
        )
