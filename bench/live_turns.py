"""Turns of one phrase, and of several with a breath between them, each recorded in a quiet room."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.talk import BREATHS, MARGIN_SECONDS, MOST_PHRASES, TAIL_SECONDS, Phrase, Said
from gateway.audio.types import SAMPLE_RATE, Samples

_LEAD_SECONDS = (1.0, 1.1)
"""Before the speech, so that it does not always begin with a piece of audio."""

_HISS = 0.0003
"""Of the room."""


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """What is said, and its samples at 16 kHz."""

    said: tuple[Said, ...]
    samples: Samples

    @property
    def is_joined(self) -> bool:
        """Of several phrases."""
        return len(self.said) > 1


def make_turns(choice: Sequence[Phrase], singles: int) -> list[Turn]:
    """So many of one phrase, taken evenly, and half as many of two phrases or three; the same each time."""
    random = np.random.default_rng(singles)
    turns = [_turn([choice[number * len(choice) // singles]], random) for number in range(singles)]
    for number in range(singles // 2):
        first, length = number * len(choice) * 2 // singles, 2 + number % (MOST_PHRASES - 1)
        turns.append(_turn([choice[(first + 5 * at) % len(choice)] for at in range(length)], random))
    return turns


def _turn(choice: Sequence[Phrase], random: np.random.Generator) -> Turn:
    position, said = random.uniform(*_LEAD_SECONDS), list[Said]()
    for phrase in choice:
        end = position + len(phrase.samples) / SAMPLE_RATE
        said.append(Said(phrase, position + MARGIN_SECONDS, end - MARGIN_SECONDS))
        position = end - 2 * MARGIN_SECONDS + random.uniform(*BREATHS)
    length = round((said[-1].end + MARGIN_SECONDS + TAIL_SECONDS) * SAMPLE_RATE)
    samples = random.normal(0, _HISS, length).astype(np.float32)
    for one in said:
        begin = round((one.start - MARGIN_SECONDS) * SAMPLE_RATE)
        samples[begin : begin + len(one.phrase.samples)] += one.phrase.samples
    return Turn(tuple(said), samples)
