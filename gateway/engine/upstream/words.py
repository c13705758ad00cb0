"""Words with times, found again in the text that they are of: their marks and spaces stand only there."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.transcript import Word
from gateway.transcript.writing import EDGE_PUNCTUATION

_REACH = 60
"""Characters within which a word must follow the one before it."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A word as an upstream gives it.

    Attributes:
        probability: None where it gives none.
    """

    text: str
    start: float
    end: float
    probability: float | None = None


def words_in(text: str, timed: Sequence[Timed], parts: Sequence[int], unknown: float) -> list[list[Word]]:
    """The words of each part of a text; their texts join to the part's.

    A word that is not found gives its place to the one before it.

    Args:
        parts: Where each part ends, in characters.
        unknown: The probability of words that come without.
    """
    begins = _begins(text, timed)
    found: list[list[Word]] = []
    start = 0
    for end in parts:
        own = [(at, word) for at, word in begins if start <= at < end]
        edges = [start, *(at for at, _ in own[1:]), end]
        found.append(
            [
                Word(
                    word.start,
                    max(word.start, word.end),
                    text[before:after],
                    unknown if word.probability is None else word.probability,
                )
                for (_, word), before, after in zip(own, edges, edges[1:], strict=False)
            ]
        )
        start = end
    return found


def _begins(text: str, timed: Sequence[Timed]) -> list[tuple[int, Timed]]:
    """Where each word that is found begins, with the space and the marks before it."""
    lower = text.lower()
    if len(lower) != len(text):  # letters that become two
        lower = text
    begins: list[tuple[int, Timed]] = []
    position = 0
    for word in timed:
        needle = word.text.strip(EDGE_PUNCTUATION).lower() or word.text.strip()
        at = lower.find(needle, position, position + _REACH + len(needle)) if needle else -1
        if at < 0:
            continue
        space = max(text.rfind(blank, position, at) for blank in " \n\t")
        begins.append((space if space >= 0 else at, word))
        position = at + len(needle)
    return begins
