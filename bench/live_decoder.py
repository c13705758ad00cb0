"""An engine without queue or process: what it hears, and the CPU time it takes."""

import time
from dataclasses import dataclass
from statistics import median

from gateway.audio.types import SAMPLE_RATE, Chunk, Samples
from gateway.engine.api import DecodeOptions, DecodeRequest, Engine, RowFailed
from gateway.transcript import Hypothesis

LENGTHS = (1, 4)
"""Seconds that are timed; what lies between them, or beyond, is taken from the line through both."""

TIMES = 7
"""Each is timed."""


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of a decode."""

    fixed: float
    per_second: float

    def of(self, samples: int) -> float:
        """Of so much audio."""
        return self.fixed + self.per_second * samples / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Costs:
    """Those of one engine."""

    partial: Cost
    final: Cost


class Decoder:
    """Hears one recording again and again: what it has decoded once it remembers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[tuple[int, int, DecodeOptions, tuple[int, ...]], Hypothesis] = {}

    def decode(self, chunk: Chunk, options: DecodeOptions, prefix: tuple[int, ...] = ()) -> Hypothesis:
        """What it hears in a chunk, beginning with these tokens."""
        key = (chunk.start, chunk.end, options, prefix)
        if key not in self._known:
            self._known[key] = _transcribe(self._engine, chunk.samples, options, prefix)
        return self._known[key]


def measure(engine: Engine, speech: Samples, options: DecodeOptions) -> Cost:
    """The median of some decodes of different speech, to the hundredth."""
    short, long = (
        median(_seconds(engine, _cut(speech, number, length), options) for number in range(TIMES))
        for length in LENGTHS
    )
    slope = max(0.0, (long - short) / (LENGTHS[1] - LENGTHS[0]))
    return Cost(round(max(0.0, short - slope * LENGTHS[0]), 2), round(slope, 2))


def _cut(speech: Samples, number: int, seconds: int) -> Samples:
    start = number * (len(speech) - seconds * SAMPLE_RATE) // TIMES
    return speech[start : start + seconds * SAMPLE_RATE]


def _seconds(engine: Engine, samples: Samples, options: DecodeOptions) -> float:
    began = time.process_time()
    _transcribe(engine, samples, options, ())
    return time.process_time() - began


def _transcribe(
    engine: Engine, samples: Samples, options: DecodeOptions, prefix: tuple[int, ...]
) -> Hypothesis:
    (heard,) = engine.transcribe([DecodeRequest(samples, options, prefix_tokens=prefix)])
    if isinstance(heard, RowFailed):
        raise RuntimeError(heard.reason)  # noqa: TRY004 - no wrong type: the row could not be decoded
    return heard
