"""Which language a row is in, by the probabilities Whisper gives its language tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gateway.engine.whisper.features import Encoded


def detect_languages(
    model: Any, encoded: Encoded, rows: Sequence[int], candidates: Sequence[Collection[str]]
) -> list[tuple[str, float]]:
    """The most probable language of each row and its probability.

    Args:
        model: A multilingual `ctranslate2.models.Whisper`.
        rows: Rows of the batch.
        candidates: Per row, the codes to choose among, with probabilities renormalised among them; empty
            allows all.
    """
    if not rows:
        return []
    answers = []
    for ranking, among in zip(model.detect_language(encoded.pick(rows)), candidates, strict=True):
        probabilities = {token.strip("<|>"): probability for token, probability in ranking}
        allowed = {code: p for code, p in probabilities.items() if not among or code in among}
        best = max(allowed, key=allowed.__getitem__)
        total = sum(allowed.values())
        answers.append((best, allowed[best] / total if total > 0 else 0.0))
    return answers
