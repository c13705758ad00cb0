"""Where written tokens lie in the audio and how probable each was: CTranslate2's `align()`, batched."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.engine.api import Task
    from gateway.engine.whisper.features import Encoded
    from gateway.engine.whisper.vocabulary import Vocabulary

SECONDS_PER_STEP = 0.02
"""Two mel frames of 10 ms per encoder step."""


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
