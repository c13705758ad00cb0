"""One synthesised utterance: its audio, and when each word is said."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from training.mini_whisper.vocab import Sentence

SAMPLE_RATE = 16_000
Audio: TypeAlias = NDArray[np.float32]
"""Shape (n,), 16 kHz."""

_MIN_WORD = 0.03
_LEAD, _TAIL = 80, 160  # samples kept around the audible part


@dataclass(frozen=True, slots=True)
class Spoken:
    """An utterance without silence at its ends; ``times`` are (start, end) in seconds, one per word."""

    audio: Audio
    times: list[tuple[float, float]]


def trim(audio: Audio, starts: Sequence[float], ends: Sequence[float] | None = None) -> Spoken | None:
    """Cuts the silence at both ends and completes the word times.

    Args:
        audio: The synthesiser's output at 16 kHz.
        starts: Seconds at which the words begin.
        ends: Seconds at which they end; without, each ends where the next begins.

    Returns:
        None where there is nothing to hear or a word would be shorter than 30 ms.
    """
    level = np.abs(audio)
    loud = np.nonzero(level > 0.01 * level.max())[0]
    if len(loud) == 0:
        return None
    first, last = max(0, int(loud[0]) - _LEAD), min(len(audio), int(loud[-1]) + _TAIL)
    shift, total = first / SAMPLE_RATE, (last - first) / SAMPLE_RATE
    begin = [0.0, *(max(0.0, start - shift) for start in starts[1:])]
    inner = begin[1:] if ends is None else [min(total, e - shift) for e in ends[:-1]]
    end = [*inner, total]
    times = list(zip(begin, end, strict=True))
    if any(e - b < _MIN_WORD for b, e in times):
        return None
    return Spoken(audio[first:last].copy(), times)


def fill_starts(words: Sentence, starts: list[float | None], total: float) -> list[float] | None:
    """Gives a start to words without one, since espeak-ng reports pairs such as "on the" as one word.

    The time up to the next known start is shared out by letters. None where the first word has no start.
    """
    filled: list[float] = []
    i = 0
    while i < len(starts):
        start = starts[i]
        if start is not None:
            filled.append(start)
            i += 1
            continue
        if i == 0:
            return None
        j, limit = next(
            ((k, t) for k, t in enumerate(starts) if k > i and t is not None), (len(starts), total)
        )
        previous = filled[-1]
        letters = np.cumsum([len(word) for word in words[i - 1 : j]])
        filled += [previous + (limit - previous) * float(n / letters[-1]) for n in letters[:-1]]
        i = j
    return filled
