"""Words and their times, from the frames at which `align()` saw each token begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gateway.transcript import Word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faster_whisper.tokenizer import Tokenizer

    from gateway.engine.whisper.alignment import Alignment
    from gateway.engine.whisper.vocabulary import Vocabulary

OPENING = "\"'“¿([{-"
CLOSING = "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001 - Chinese punctuation is meant
"""Punctuation that belongs to the word behind or before it; the lists are Whisper's."""


@dataclass(slots=True)
class _Draft:
    text: str
    first: int
    last: int


def words_of(
    tokens: Sequence[int],
    alignment: Alignment,
    *,
    offset: int,
    start: float,
    end: float,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
) -> tuple[Word, ...]:
    """The words of one segment.

    Times never decrease and stay within the segment: where alignment and timestamps differ the timestamps
    were nearer to the truth, above all for the first word after a pause, which alignment begins too early.

    Args:
        tokens: The segment's text tokens.
        offset: Position of ``tokens[0]`` among the aligned tokens.
        start: Seconds from the window's start.
        end: Seconds from the window's start.
    """
    drafts: list[_Draft] = []
    position = offset
    for group in tokenizer.split_to_word_tokens(list(tokens))[1]:
        drafts.append(_Draft(vocabulary.text(group), position, position + len(group)))
        position += len(group)

    words: list[Word] = []
    earliest = start
    for draft, text in _with_punctuation(drafts):
        begin = min(max(alignment.begins[draft.first], earliest), end)
        stop = min(max(alignment.begins[draft.last], begin), end)
        probability = float(np.mean(alignment.probabilities[draft.first : draft.last]))
        words.append(Word(begin, stop, text, probability))
        earliest = stop
    return tuple(word for word in words if word.text)


def before_last_word(
    tokens: Sequence[int], alignment: Alignment, tokenizer: Tokenizer
) -> tuple[tuple[int, ...], float] | None:
    """The tokens before the last word, and where that word begins in seconds from the window's start.

    None where that leaves nothing. For a text cut by the length limit, whose last word may be half a word.

    Args:
        tokens: All aligned tokens.
    """
    groups = tokenizer.split_to_word_tokens(list(tokens))[1]
    kept = sum(map(len, groups[:-1]))
    if kept == 0 or alignment.begins[kept] <= 0:
        return None
    return tuple(tokens[:kept]), alignment.begins[kept]


def _with_punctuation(drafts: Sequence[_Draft]) -> list[tuple[_Draft, str]]:
    """Gives punctuation to its word, whose times stay as they are."""
    merged: list[tuple[_Draft, str]] = []
    opening = ""
    for draft in drafts:
        text = opening + draft.text
        if draft.text.startswith(" ") and draft.text.strip() in OPENING:
            opening = text
            continue
        opening = ""
        if merged and draft.text in CLOSING and not merged[-1][1].endswith(" "):
            merged[-1] = (merged[-1][0], merged[-1][1] + text)
        else:
            merged.append((draft, text))
    if opening:
        merged.append((drafts[-1], opening))
    return merged
