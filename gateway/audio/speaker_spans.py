"""Where in a chunk one voice speaks: from the segmentation network's frames to spans and windows. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from gateway.audio.types import SAMPLE_RATE

FRAME_STEP = 270
"""Samples from one frame of the segmentation to the next: its strides multiplied."""

FRAME_EDGE = 360
"""The first frame's middle, less half a step: its receptive field has 991 samples."""

WINDOW = SAMPLE_RATE * 3 // 2
"""What a voice is told by: with 1.5 s two readers are confused in 1.8 % of pairs, with 1 s in 3.9 %."""

WINDOW_STEP = WINDOW * 2 // 3
"""A second. Half a window took a seventh more time to hear a minute, and as many words had their speaker."""

SHORTEST_GAP = SAMPLE_RATE * 3 // 10
"""Silence that does not end a span: pauses within speech are shorter."""

SHORTEST_SPAN = SAMPLE_RATE * 4 // 10
"""A shorter one, between others without a silence, is one of the network's slips."""

SHORTEST_REGION = SAMPLE_RATE // 10
"""Less speech with silence on both sides is none."""

_VOICES = np.array([[0, 1, 0, 0, 1, 1, 0], [0, 0, 1, 0, 1, 0, 1], [0, 0, 0, 1, 0, 1, 1]], dtype=np.float32)
"""In which of the network's seven classes each of its three voices speaks."""

_FIRST_OF_TWO = 4
"""The classes from this one on are of two voices."""

Span: TypeAlias = tuple[int, int]
"""Samples from the chunk's first one: begin, and end."""


@dataclass(frozen=True, slots=True)
class Window:
    """What is embedded, and the part of its span that is closer to it than to the windows beside it."""

    start: int
    end: int
    own: Span

    def later(self, samples: int) -> "Window":
        """The window of a piece that begins so late in its chunk."""
        own = self.own[0] + samples, self.own[1] + samples
        return Window(self.start + samples, self.end + samples, own)


def overlaps_of(classes: NDArray[np.float32], samples: int) -> list[Span]:
    """Where two voices speak at once; as `spans_of`."""
    found = _runs(classes[:, _FIRST_OF_TWO:].sum(axis=1) > 0.5)
    return [
        (_edge(first, len(classes), samples), _edge(last, len(classes), samples)) for first, last in found
    ]


def spans_of(classes: NDArray[np.float32], samples: int) -> list[Span]:
    """The spans of one voice each.

    Args:
        classes: Probabilities of the seven classes, (frames, 7), of a piece of so many ``samples``.
    """
    speech = classes[:, 0] < 0.5
    voice = (classes @ _VOICES.T).argmax(axis=1)
    spans = []
    for begin, end in _regions(speech, samples):
        changes = [
            (_edge(at, len(classes), samples), at) for at in (np.flatnonzero(np.diff(voice)) + 1).tolist()
        ]
        inner = [(edge, int(voice[at])) for edge, at in changes if begin < edge < end]
        first = next((int(voice[at - 1]) for edge, at in changes if edge > begin), int(voice[-1]))
        spans += _without_slips([(begin, first), *inner], end)
    return spans


def windows_of(span: Span, step: int = WINDOW_STEP) -> Iterator[Window]:
    """Windows of 1.5 s, evenly placed, at most ``step`` samples apart; one of a span that is shorter."""
    begin, end = span
    count = 1 + max(0, -((begin + WINDOW - end) // step))
    starts = np.linspace(begin, max(begin, end - WINDOW), count).astype(int).tolist()
    middles = [(one + other + WINDOW) // 2 for one, other in pairwise(starts)]
    for start, own in zip(starts, pairwise([begin, *middles, end]), strict=True):
        yield Window(start, min(start + WINDOW, end), own)


def _regions(speech: NDArray[np.bool_], samples: int) -> list[Span]:
    """Speech without longer silences."""
    regions: list[Span] = []
    for first, last in _runs(speech):
        begin, end = _edge(first, len(speech), samples), _edge(last, len(speech), samples)
        if regions and begin - regions[-1][1] < SHORTEST_GAP:
            regions[-1] = (regions[-1][0], end)
        else:
            regions.append((begin, end))
    return [(begin, end) for begin, end in regions if end - begin >= SHORTEST_REGION]


def _runs(is_so: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First frames of runs, and those after their last."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], is_so.astype(np.int8), [0]))))
    return [(first, last) for first, last in edges.reshape(-1, 2).tolist()]


def _edge(frame: int, frames: int, samples: int) -> int:
    """Where a frame begins; the first with the piece, and what would be one more at its end."""
    if frame in (0, frames):
        return samples if frame else 0
    return min(FRAME_EDGE + int(frame) * FRAME_STEP, samples)


def _without_slips(begins: list[tuple[int, int]], end: int) -> list[Span]:
    """The spans of the voices that begin there; too short ones join their longer neighbour."""
    spans = [
        (*pair, voice)
        for pair, (_, voice) in zip(pairwise([*(at for at, _ in begins), end]), begins, strict=True)
    ]
    while len(spans) > 1:
        at = min(range(len(spans)), key=lambda i: spans[i][1] - spans[i][0])
        if spans[at][1] - spans[at][0] >= SHORTEST_SPAN:
            break
        beside = [i for i in (at - 1, at + 1) if 0 <= i < len(spans)]
        other = max(beside, key=lambda i: spans[i][1] - spans[i][0])
        first, last = sorted((at, other))
        spans[first : last + 1] = [(spans[first][0], spans[last][1], spans[other][2])]
    alike = [list(run) for _, run in groupby(spans, itemgetter(2))]
    return [(run[0][0], run[-1][1]) for run in alike]
