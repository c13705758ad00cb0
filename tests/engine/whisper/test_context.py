"""How long a context is chosen, and which results of a shortened one are not believed."""

from dataclasses import replace

import pytest

from gateway.engine.whisper.context import FITTED_FRAMES, MARGIN_FRAMES, context_frames, is_doubtful
from gateway.engine.whisper.decoded import Decoded
from gateway.engine.whisper.features import WINDOW_FRAMES

BEGIN = 1000
"""The first timestamp; text lies below."""

GOOD = Decoded((BEGIN + 10, 1, 2, BEGIN + 200), -0.3, 0.1, 1.2, 0.0, cut=False)
"""Text from 0.2 s to 4.0 s."""


def test_fit_leaves_a_margin() -> None:
    """To the shortest of a few lengths that holds the audio and a second; beyond them, the whole window."""
    for frames in range(1, WINDOW_FRAMES + 1):
        fitted = context_frames(frames, "fit")
        shorter = [length for length in FITTED_FRAMES if length < fitted]

        assert fitted in (*FITTED_FRAMES, WINDOW_FRAMES)
        assert fitted == WINDOW_FRAMES or fitted >= frames + MARGIN_FRAMES
        assert all(length < frames + MARGIN_FRAMES for length in shorter)
    assert [context_frames(frames, "fit") for frames in (1, 400, 401, 1900, 1901, 3000)] == [
        *(500, 500, 1000, 2000, 3000, 3000)
    ]


def test_full_is_always_the_whole_window() -> None:
    """What published models were trained on."""
    assert {context_frames(frames, "full") for frames in (1, 400, 1900, 3000)} == {WINDOW_FRAMES}


def test_lengths_are_even() -> None:
    """The encoder halves them; an odd one would be a step longer than its audio."""
    assert all(length % 2 == 0 for length in FITTED_FRAMES)


@pytest.mark.parametrize(
    "decoded",
    [
        replace(GOOD, avg_logprob=-1.1),
        replace(GOOD, compression_ratio=2.5),
        replace(GOOD, no_speech_prob=0.7),
        replace(GOOD, no_speech_prob=0.7, avg_logprob=-1.1),
        replace(GOOD, cut=True),
        replace(GOOD, tokens=()),
        replace(GOOD, tokens=(BEGIN, BEGIN + 200)),
        replace(GOOD, tokens=GOOD.tokens[:-1]),
        replace(GOOD, tokens=(*GOOD.tokens, BEGIN + 200, 3)),
        replace(GOOD, tokens=(BEGIN, 1, BEGIN + 99)),
    ],
    ids=[
        *("improbable", "repetitive", "no speech, it says", "silent", "cut", "empty", "no text"),
        *("not closed", "closed, then not", "ended early"),
    ],
)
def test_doubtful(decoded: Decoded) -> None:
    """Each sign alone is enough."""
    assert is_doubtful(decoded, frames=400, timestamp_begin=BEGIN, timestamps=True)


@pytest.mark.parametrize(
    "tokens",
    [
        GOOD.tokens,
        (BEGIN, 1, BEGIN + 100),
        (BEGIN, 1, BEGIN + 60, BEGIN + 60, 2, BEGIN + 200),
        (BEGIN, 1, BEGIN + 200, BEGIN + 200),
    ],
)
def test_believed(tokens: tuple[int, ...]) -> None:
    """Probable text that is closed within two seconds of the audio's end."""
    assert not is_doubtful(replace(GOOD, tokens=tokens), frames=400, timestamp_begin=BEGIN, timestamps=True)


def test_without_timestamps_nothing_is_expected_of_them() -> None:
    """As for previews with a forced prefix; the other signs count."""
    plain = replace(GOOD, tokens=(1, 2))

    assert not is_doubtful(plain, frames=400, timestamp_begin=BEGIN, timestamps=False)
    assert is_doubtful(replace(plain, avg_logprob=-1.1), frames=400, timestamp_begin=BEGIN, timestamps=False)
