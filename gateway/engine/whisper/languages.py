"""What languages a row is in: one for all of it, or one after the other where pauses divide them.

Whisper decodes a window in one language, and what is in another comes out translated or not at all. The
encoder has heard all of it when this is asked, so each part costs the decoder a single step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.engine.whisper.row import FRAMES_PER_SECOND, Run

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gateway.engine.whisper.features import Encoded

CLEAR = 0.8
"""So probable must a language be to be another than the one expected. Right ones have 0.9 as a rule, wrong
ones hardly ever 0.5; speech of less than `ENOUGH_FRAMES` must be surer, and so must a part of a row."""

VERY_CLEAR = 0.95

ENOUGH_FRAMES = 3 * FRAMES_PER_SECOND

PART_FRAMES = FRAMES_PER_SECOND * 3 // 2
"""A part of a row is at least so long."""


def find_runs(
    model: Any,
    encoded: Encoded,
    row: int,
    frames: int,
    breaks: Sequence[int],
    candidates: Collection[str],
    expected: str | None,
) -> tuple[Run, ...]:
    """The languages of one row, in the order in which they are spoken.

    Args:
        model: A multilingual `ctranslate2.models.Whisper`.
        frames: Mel frames of its audio.
        breaks: Frames at which a language may begin.
        candidates: The codes to choose among; empty allows all.
        expected: What the row is in unless it clearly is not.
    """
    language, probability = _detect(model, encoded.pick([row]), candidates)
    if expected is not None and language != expected:
        least = CLEAR if frames >= ENOUGH_FRAMES else VERY_CLEAR
        if probability < least:
            language, probability = expected, 1.0 - probability
    runs: list[Run] = []
    parts = _parts(breaks, frames)
    for start, end in zip([0, *parts], parts, strict=False):
        part, sure = _detect(model, encoded.part(row, start, end), candidates) if len(parts) > 1 else ("", 0)
        run = Run(end, part, sure) if sure >= VERY_CLEAR else Run(end, language, probability)
        if runs and runs[-1].language == run.language:
            runs[-1] = Run(end, run.language, max(runs[-1].probability, run.probability))
        else:
            runs.append(run)
    return tuple(runs)


def _parts(breaks: Sequence[int], frames: int) -> list[int]:
    """The parts' ends."""
    ends = [0]
    for end in breaks:
        if end - ends[-1] >= PART_FRAMES and frames - end >= PART_FRAMES:
            ends.append(end)
    return [*ends[1:], frames]


def _detect(model: Any, heard: Any, candidates: Collection[str]) -> tuple[str, float]:
    """The likeliest language and its probability, among the candidates."""
    [ranking] = model.detect_language(heard)
    probabilities = {token.strip("<|>"): probability for token, probability in ranking}
    allowed = {code: p for code, p in probabilities.items() if not candidates or code in candidates}
    best = max(allowed, key=allowed.__getitem__)
    total = sum(allowed.values())
    return best, allowed[best] / total if total > 0 else 0.0
