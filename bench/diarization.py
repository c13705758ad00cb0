"""How right speakers are: by time, and by word.

The diarization error rate without a collar, as `pyannote.metrics` has it: the assignment of SciPy over frames
of 10 ms, which adds up over recordings and needs no more than SciPy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bench.dialogues import Turn
from gateway.transcript import Transcript

FRAMES_PER_SECOND = 100

BRIDGED_SECONDS = 0.5
"""Between two words of one speaker so much silence counts as speech, as it does in the truth."""


@dataclass(frozen=True, slots=True)
class Diarized:
    """Figures that add up.

    Attributes:
        frames: Of speech, counted once for each who speaks; the next three are of these.
        right_words: Whose speaker speaks at their middle, of ``words`` in whose middle anybody does.
        right_counts: Recordings with as many speakers as there are, of ``recordings``.
    """

    frames: int = 0
    confused: int = 0
    missed: int = 0
    false_alarm: int = 0
    right_words: int = 0
    words: int = 0
    right_counts: int = 0
    recordings: int = 0

    def __add__(self, other: "Diarized") -> "Diarized":
        return Diarized(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    @property
    def error_rate(self) -> float:
        """Confusion, missed speech and false alarms."""
        return (self.confused + self.missed + self.false_alarm) / max(1, self.frames)


def judge(truth: Sequence[Turn], transcript: Transcript) -> Diarized:
    """A transcript with speakers against the truth, whatever each calls them."""
    words = [
        (word.start, word.end, str(segment.speaker))
        for segment in transcript.segments
        for word in segment.words
    ]
    seconds = max([transcript.duration, *(turn.end for turn in truth)])
    true = _active([(turn.start, turn.end, turn.speaker) for turn in truth], seconds)
    told = _active(_bridged(words), seconds)
    names, mapped = list(told), dict[str, str]()
    if names:
        shared = np.array([[int((told[name] & true[who]).sum()) for who in true] for name in names])
        rows, columns = linear_sum_assignment(-shared)
        mapped = {names[row]: list(true)[column] for row, column in zip(rows, columns, strict=True)}
    both = sum((told[name] & true[who]).astype(int) for name, who in mapped.items())
    true_count = np.sum(list(true.values()), axis=0)
    told_count = np.sum(list(told.values()), axis=0) if told else np.zeros_like(true_count)
    placed = [(int((start + end) / 2 * FRAMES_PER_SECOND), speaker) for start, end, speaker in words]
    asked = [(at, speaker) for at, speaker in placed if at < len(true_count) and true_count[at]]
    right = sum(speaker in mapped and bool(true[mapped[speaker]][at]) for at, speaker in asked)
    return Diarized(
        int(true_count.sum()),
        int((np.minimum(true_count, told_count) - both).sum()),
        int(np.maximum(0, true_count - told_count).sum()),
        int(np.maximum(0, told_count - true_count).sum()),
        right,
        len(asked),
        int(len(told) == len(true)),
        1,
    )


def _bridged(words: Sequence[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    spans: list[tuple[float, float, str]] = []
    for start, end, speaker in words:
        if spans and spans[-1][2] == speaker and start - spans[-1][1] < BRIDGED_SECONDS:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]), speaker)
        else:
            spans.append((start, end, speaker))
    return spans


def _active(spans: Sequence[tuple[float, float, str]], seconds: float) -> dict[str, NDArray[np.bool_]]:
    """For each speaker the frames in which they speak."""
    active = {speaker: np.zeros(int(seconds * FRAMES_PER_SECOND) + 1, dtype=bool) for _, _, speaker in spans}
    for start, end, speaker in spans:
        active[speaker][int(start * FRAMES_PER_SECOND) : int(end * FRAMES_PER_SECOND)] = True
    return active
