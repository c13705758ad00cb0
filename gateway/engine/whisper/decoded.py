"""How a row is decoded, what came of it, and whether that will do."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.engine.whisper.prompt import Prompt

# Whisper's own thresholds: `transcribe()` in openai/whisper.
MAX_COMPRESSION_RATIO = 2.4
MIN_AVG_LOGPROB = -1.0
MAX_NO_SPEECH_PROB = 0.6
MAX_SEEDED_DEVIATIONS = 32
"""Each costs a greedy decode of the row; clear speech at temperature 1 deviates a few times."""


@dataclass(frozen=True, slots=True)
class Decode:
    """How one row is decoded.

    Attributes:
        seed: Entropy of the row's own generator; without it CTranslate2 samples, which does not repeat.
        max_deviations: Draws that differ from the greedy decode before the rest is taken greedily.
    """

    prompt: Prompt
    beam_size: int
    temperature: float = 0.0
    seed: tuple[int, ...] | None = None
    max_deviations: int = MAX_SEEDED_DEVIATIONS


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the model wrote for one window.

    Attributes:
        tokens: Text and timestamps, without prompt and end token; a forced prefix included.
        temperature: The one that gave these tokens.
        cut: The length limit came before the end token.
    """

    tokens: tuple[int, ...]
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    temperature: float
    cut: bool

    @property
    def silent(self) -> bool:
        """Whisper's rule for windows without speech."""
        return self.no_speech_prob > MAX_NO_SPEECH_PROB and self.avg_logprob < MIN_AVG_LOGPROB

    @property
    def repetitive(self) -> bool:
        """The text says the same again and again."""
        return self.compression_ratio > MAX_COMPRESSION_RATIO

    @property
    def acceptable(self) -> bool:
        """No higher temperature need be tried."""
        return self.silent or (not self.repetitive and self.avg_logprob >= MIN_AVG_LOGPROB)


def compression_ratio(text: str) -> float:
    """UTF-8 length over zlib length; high values mean repetition."""
    data = text.strip().encode()
    return len(data) / len(zlib.compress(data))


def best_of(tried: Sequence[Decoded]) -> Decoded:
    """The first acceptable result, else the most probable, of those that do not repeat if there are any."""
    for one in tried:
        if one.acceptable:
            return one
    return max([one for one in tried if not one.repetitive] or tried, key=lambda one: one.avg_logprob)
