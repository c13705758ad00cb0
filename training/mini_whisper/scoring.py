"""Word errors and time errors, and sentences about them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


def normalise(text: str) -> list[str]:
    """Lower-case words without punctuation."""
    return "".join(c for c in text.lower() if c.isalnum() or c in " '").split()


def align(ref: Sequence[str], hyp: Sequence[str]) -> tuple[int, list[tuple[int, int]]]:
    """The edit distance, and the index pairs (ref, hyp) of equal words along the cheapest path."""
    n, m = len(ref), len(hyp)
    d = np.zeros((n + 1, m + 1), int)
    d[:, 0], d[0, :] = np.arange(n + 1), np.arange(m + 1)
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            d[i, j] = min(d[i - 1, j] + 1, d[i, j - 1] + 1, d[i - 1, j - 1] + (ref[i - 1] != hyp[j - 1]))
    pairs, i, j = [], n, m
    while i and j:
        if d[i, j] == d[i - 1, j - 1] + (ref[i - 1] != hyp[j - 1]):
            if ref[i - 1] == hyp[j - 1]:
                pairs.append((i - 1, j - 1))
            i, j = i - 1, j - 1
        elif d[i, j] == d[i - 1, j] + 1:
            i -= 1
        else:
            j -= 1
    return int(d[n, m]), pairs[::-1]


@dataclass(slots=True)
class Score:
    """Counts over clips; ``exact`` includes capitals and the full stop."""

    errors: int = 0
    words: int = 0
    clips: int = 0
    exact: int = 0
    wrong: list[tuple[str, str]] = field(default_factory=list)

    def add(self, ref: str, hyp: str) -> None:
        """Compares a clip's text with what was heard."""
        words = normalise(ref)
        errors, _ = align(words, normalise(hyp))
        self.errors += errors
        self.words += len(words)
        self.clips += 1
        self.exact += hyp.strip() == ref
        if errors:
            self.wrong.append((ref, hyp.strip()))

    @property
    def rate(self) -> float:
        """The word error rate."""
        return self.errors / max(1, self.words)

    def __str__(self) -> str:
        words, clips = f"{self.errors} of {self.words} words", f"{self.exact} of {self.clips} clips exact"
        return f"WER {self.rate:6.1%} ({words}, {clips})"


def describe_times(errors: Sequence[float]) -> str:
    """Mean, median and 95th percentile of the absolute errors, in seconds."""
    if not errors:
        return "nothing to compare"
    a = np.abs(np.array(errors))
    return (
        f"mean {a.mean():.3f} s, median {np.median(a):.3f}, 95 % {np.percentile(a, 95):.3f}, "
        f"within 0.3 s {(a <= 0.3).mean():.1%} (n={len(a)})"
    )
