"""A chunk on its way through one or more windows of the model."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.audio.types import SAMPLE_RATE
from gateway.engine.whisper.features import WINDOW_FRAMES
from gateway.transcript import Hypothesis, Segment

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gateway.engine.api import DecodeOptions, DecodeRequest, RowFailed

FRAMES_PER_SECOND = 100

MIN_REMAINDER_FRAMES = 20
"""What is left of a chunk is decoded only if a word fits in it: shorter rests invite inventions. A row
that may leave its tail to the next one tells at least as much, or a long recording would take for ever."""

HALF_FRAMES = FRAMES_PER_SECOND
"""No half of a window is shorter."""


@dataclass(frozen=True, slots=True)
class Run:
    """A part of a row in one language, from the end of the run before it to ``end``, in frames."""

    end: int
    language: str
    probability: float


@dataclass(slots=True)
class Row:
    """One row of a batch.

    Attributes:
        features: Shape (mels, frames of 10 ms).
        given: The language, where it is not to be detected.
        runs: Consecutive parts in one language each; empty until these are known.
        seek: Frames transcribed so far; the next window begins here.
        prompt_tokens: Of prompt and keywords together.
        failure: It ends here, without a result.
    """

    request: DecodeRequest
    features: NDArray[np.float32]
    given: str | None
    runs: Sequence[Run] = ()
    seek: int = 0
    prompt_tokens: int = 0
    segments: list[Segment] = field(default_factory=list)
    failure: RowFailed | None = None
    was_halved: bool = False

    def __post_init__(self) -> None:
        self.forget_languages()

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
        """Features of the present window, which ends where another language begins."""
        end = self._run.end if self.runs else self.features.shape[1]
        return self.features[:, self.seek : min(self.seek + WINDOW_FRAMES, end)]

    @property
    def own_frames(self) -> int:
        """Frames before those that the next row begins with, too."""
        frames: int = self.features.shape[1]
        return frames - self.request.shared * FRAMES_PER_SECOND // SAMPLE_RATE

    @property
    def shares_end(self) -> bool:
        """The next row begins with the end of the present window."""
        reached: int = self.seek + self.window.shape[1]
        return self.request.shared > 0 and reached > self.own_frames

    @property
    def unfinished(self) -> bool:
        """Another window is due."""
        due = self.request.whole or self.seek < MIN_REMAINDER_FRAMES
        return self.failure is None and due and self.own_frames - self.seek >= MIN_REMAINDER_FRAMES

    @property
    def consumed(self) -> float | None:
        """Seconds up to where the next row begins; None where nothing is left to it."""
        left = not self.request.whole and self.seek < self.features.shape[1]
        return self.seek / FRAMES_PER_SECOND if left else None

    @property
    def _run(self) -> Run:
        """The one that the present window lies in.

        Raises:
            RuntimeError: The languages of this row have not been detected yet.
        """
        for run in self.runs:
            if self.seek < run.end:
                return run
        raise RuntimeError("The language of this row has not been detected yet")

    @property
    def spoken(self) -> str:
        """The language to decode in."""
        return self._run.language

    @property
    def language_probability(self) -> float:
        """Of the language to decode in."""
        return self._run.probability

    def advance(self, frames: int) -> None:
        """Moves on by so many frames; what is then left of a run, if no word fits in it, is skipped."""
        self.seek += frames
        for run in self.runs[:-1]:
            if 0 < run.end - self.seek < MIN_REMAINDER_FRAMES:
                self.seek = run.end

    @property
    def seed(self) -> tuple[int, ...] | None:
        """Entropy for drawing the present window's text; None where nothing need repeat."""
        if self.options.seed is None or self.options.temperature == 0:
            return None
        return (self.options.seed % 2**64, self.seek)

    @property
    def halves(self) -> tuple[Run, Run] | None:
        """The present window in two, at the pause nearest to its middle; None without one, or once it was."""
        if self.was_halved or not self.runs:
            return None
        run = self._run
        middle, end = (self.seek + run.end) // 2, run.end - HALF_FRAMES
        pauses = [at * FRAMES_PER_SECOND // SAMPLE_RATE for at in self.request.breaks]
        pauses = [at for at in pauses if self.seek + HALF_FRAMES <= at <= end]
        if not pauses:
            return None
        at = min(pauses, key=lambda pause: abs(pause - middle))
        return Run(at, run.language, run.probability), run

    def halve(self) -> None:
        """Has the present window decoded in its `halves`."""
        halves, present = self.halves, self._run
        if halves is not None:
            self.runs = [part for run in self.runs for part in (halves if run is present else (run,))]
            self.was_halved = True

    def forget_languages(self) -> None:
        """Has the languages detected again, where this window's detection gave them."""
        if self.seek == 0:
            frames: int = self.features.shape[1]
            self.runs = (Run(frames, self.given, 1.0),) if self.given else ()

    def at(self, seconds: float) -> float:
        """Seconds from the chunk's first sample, given those from the present window's."""
        return min(self.seek / FRAMES_PER_SECOND + seconds, self.duration)

    def hypothesis(self) -> Hypothesis:
        """The row's result, in the language of the most of it.

        Without text a detected language would be arbitrary, so there is none.
        """
        nothing = self.given is None and not self.segments
        frames: defaultdict[str, int] = defaultdict(int)
        for begin, run in zip([0, *(run.end for run in self.runs)], self.runs, strict=False):
            frames[run.language] += run.end - begin
        main = max(self.runs, key=lambda run: (frames[run.language], run.probability))
        return Hypothesis(
            segments=tuple(self.segments),
            language=None if nothing else main.language,
            language_probability=0.0 if nothing else main.probability,
            prompt_tokens=self.prompt_tokens,
            consumed=self.consumed,
        )
