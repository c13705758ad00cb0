"""When each written token was said and how probable it was (CTranslate2's `align()`); the words they make."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gateway.transcript import Word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faster_whisper.tokenizer import Tokenizer

    from gateway.engine.api import Task
    from gateway.engine.whisper.features import Encoded
    from gateway.engine.whisper.vocabulary import Vocabulary

SECONDS_PER_STEP = 0.02
"""Two mel frames of 10 ms per encoder step."""

OPENING = "\"'“¿([{-"
CLOSING = "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001 - Chinese punctuation is meant
"""Punctuation that belongs to the word after or before it; the lists are Whisper's."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where the text tokens of one window lie.

    Attributes:
        begins: Seconds from the window's start per token, and one more for the end of the last.
        probabilities: Per token, within 0.0 to 1.0, among all text tokens.
    """

    begins: tuple[float, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """The text tokens of one row of the batch, at least one; ``frames`` of its window are audio."""

    row: int
    tokens: tuple[int, ...]
    frames: int
    language: str
    task: Task


def align(
    model: Any, vocabulary: Vocabulary, encoded: Encoded, written: Sequence[Written]
) -> dict[int, Alignment]:
    """Aligns texts to their audio, with the tokens forced: right whatever search found them.

    One call takes one start sequence, so there is a call per language and task.

    Args:
        model: A `ctranslate2.models.Whisper` whose config names its alignment heads.

    Returns:
        By row of the batch.
    """
    groups: defaultdict[tuple[str, Task], list[Written]] = defaultdict(list)
    for one in written:
        groups[one.language, one.task].append(one)
    answer: dict[int, Alignment] = {}
    for (language, task), members in groups.items():
        results = model.align(
            encoded.pick([one.row for one in members]),
            vocabulary.tokenizer(language, task).sot_sequence,
            [list(one.tokens) for one in members],
            [one.frames for one in members],
        )
        for one, result in zip(members, results, strict=True):
            answer[one.row] = _read(result)
    return answer


def _read(result: Any) -> Alignment:
    """Reads a `WhisperAlignmentResult`: pairs of (token, encoder step) along the best path."""
    pairs = np.asarray(result.alignments, dtype=np.int64).reshape(-1, 2)
    first_of_token = np.diff(pairs[:, 0], prepend=-1) > 0
    begins = pairs[first_of_token, 1] * SECONDS_PER_STEP
    return Alignment(tuple(begins.tolist()), tuple(result.text_token_probs))


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
