"""When a decode will do, and which of several is the best."""

from dataclasses import replace

import pytest

from gateway.engine.whisper.decoded import Decoded, best_of, compression_ratio

GOOD = Decoded((1,), -0.3, 0.1, 1.2, 0.0, cut=False)


@pytest.mark.parametrize(
    ("decoded", "acceptable"),
    [
        (GOOD, True),
        (replace(GOOD, avg_logprob=-1.1), False),
        (replace(GOOD, compression_ratio=2.5), False),
        (replace(GOOD, avg_logprob=-1.1, no_speech_prob=0.7), True),
        (replace(GOOD, no_speech_prob=0.9), True),
    ],
)
def test_acceptable(decoded: Decoded, acceptable: bool) -> None:  # noqa: FBT001 - a table's column
    """Improbable or repetitive text is not, but silence is."""
    assert decoded.acceptable is acceptable


def test_silence_needs_an_improbable_text() -> None:
    """A confident transcript is kept, whatever the no-speech token says."""
    assert replace(GOOD, no_speech_prob=0.9, avg_logprob=-1.1).silent
    assert not replace(GOOD, no_speech_prob=0.9).silent


def test_best_of() -> None:
    """The first acceptable; else the most probable that does not repeat itself; else the most probable."""
    poor = replace(GOOD, avg_logprob=-2.0)
    loop = replace(GOOD, avg_logprob=-0.1, compression_ratio=9.0)
    better = replace(GOOD, avg_logprob=-1.5)

    assert best_of([poor, GOOD, replace(GOOD, avg_logprob=-0.1)]) is GOOD
    assert best_of([poor, loop, better]) is better
    assert best_of([replace(loop, avg_logprob=-0.2), loop]) is loop


def test_compression_ratio() -> None:
    """Repetition compresses well, short text not at all, nothing is 0."""
    assert compression_ratio("Hello world. " * 20) > 2.4
    assert compression_ratio("Seven two zero nineteen forty three thousand.") < 1.2
    assert compression_ratio("  ") == 0.0
