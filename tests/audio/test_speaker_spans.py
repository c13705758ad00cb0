"""From the segmentation's frames to spans of one voice, and the windows in them."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.audio.speaker_spans import (
    FRAME_EDGE,
    FRAME_STEP,
    WINDOW,
    WINDOW_STEP,
    overlaps_of,
    spans_of,
    windows_of,
)
from gateway.audio.types import SAMPLE_RATE


def _classes(*parts: tuple[float, int]) -> NDArray[np.float32]:
    """Frames that are sure of a class, for so many seconds each."""
    frames = [voice for seconds, voice in parts for _ in range(round(seconds * SAMPLE_RATE / FRAME_STEP))]
    return np.eye(7, dtype=np.float32)[frames]


def _seconds(classes: NDArray[np.float32]) -> list[tuple[float, float]]:
    spans = spans_of(classes, FRAME_STEP * len(classes) + 2 * FRAME_EDGE)
    return [(round(begin / SAMPLE_RATE, 1), round(end / SAMPLE_RATE, 1)) for begin, end in spans]


def test_spans() -> None:
    """Silence parts speech, another voice does, and two at once belong to the one who was speaking."""
    assert _seconds(_classes((1, 0), (2, 1), (1, 0), (2, 1), (2, 2))) == [(1, 3), (4, 6), (6, 8.1)]
    assert _seconds(_classes((1, 0), (2, 1), (1, 4), (1, 0))) == [(1, 4)]


def test_overlaps() -> None:
    """The classes of two voices, whoever they are, to the last frame."""
    classes = _classes((1, 0), (2, 1), (1, 4), (1, 6), (1, 2), (1, 5))

    found = overlaps_of(classes, FRAME_STEP * len(classes))

    assert [(round(begin / SAMPLE_RATE), round(end / SAMPLE_RATE)) for begin, end in found] == [
        (3, 5),
        (6, 7),
    ]
    assert found[-1][1] == FRAME_STEP * len(classes)
    assert overlaps_of(_classes((2, 1)), 2 * SAMPLE_RATE) == []


def test_short_things_are_no_spans() -> None:
    """A pause within speech, a slip to another voice, a click."""
    assert _seconds(_classes((1, 1), (0.2, 0), (1, 1), (0.3, 2), (1, 1), (1, 0), (0.05, 3), (1, 0))) == [
        (0, 3.5)
    ]
    assert _seconds(_classes((2, 0))) == []


@pytest.mark.parametrize("length", [4000, WINDOW, WINDOW + 1, WINDOW + WINDOW_STEP, 5 * WINDOW + 77])
def test_windows(length: int) -> None:
    """They lie within the span, close enough together, and what they own is the span, without a gap."""
    windows = list(windows_of((1000, 1000 + length)))
    owned = [window.own for window in windows]

    assert all(1000 <= window.start < window.end <= 1000 + length for window in windows)
    assert all(window.end - window.start == min(WINDOW, length) for window in windows)
    assert all(other.start - one.start <= WINDOW_STEP + 1 for one, other in pairwise(windows))
    assert (owned[0][0], owned[-1][1]) == (1000, 1000 + length)
    assert all(one[1] == other[0] for one, other in pairwise(owned))
