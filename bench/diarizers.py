"""Who speaks when, as others do it, with the same networks: what the gateway's way is measured against.

Each method takes a whole recording and gives turns on its clock. None of them looks at words.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.cluster.vq import kmeans2
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import squareform

from bench.dialogues import Turn
from gateway.audio.speaker_model import SpeakerModel, filter_banks
from gateway.audio.speaker_spans import FRAME_EDGE, FRAME_STEP
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.transcript import Transcript

PIECE_SECONDS = 10.0
WINDOW_SECONDS, STEP_SECONDS = 1.5, 0.75
ANEW_SECONDS = 5.0
"""After which windows are clustered once more while a recording goes on."""

DISTANCE = 0.70
LOCAL_DISTANCE = 0.60
LOCAL_SECONDS = 0.5
"""A piece's voice that speaks alone for less is nobody's."""

MOST_SPEAKERS = 8
NEIGHBOURS = 0.2
"""Share of windows that a window is linked with in the spectral method."""

_VOICES = np.array([[0, 1, 0, 0, 1, 1, 0], [0, 0, 1, 0, 1, 0, 1], [0, 0, 0, 1, 0, 1, 1]], dtype=np.float32)
_HOP_SECONDS, _FRAME_FEATURES = 0.01, 25

Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]
Stretch = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Local:
    """A voice of a piece of ten seconds.

    Attributes:
        stretches: Seconds in which it speaks.
    """

    piece: int
    stretches: tuple[Stretch, ...]
    vector: Vectors


@dataclass(frozen=True, slots=True)
class Sounds:
    """What both networks say of a recording.

    Attributes:
        windows: Of 1.5 s every 0.75 s, where anybody speaks: begin and end, in seconds.
        vectors: Their embeddings, shape (windows, 192).
        locals: The voices of its pieces.
    """

    windows: tuple[Stretch, ...]
    vectors: Vectors
    locals: tuple[Local, ...]


def listen(model: SpeakerModel, samples: Samples) -> Sounds:
    """Runs both networks over all of a recording, piece by piece."""
    features = filter_banks(samples)
    windows: list[Stretch] = []
    locals_: list[Local] = []
    count = max(1, round(len(samples) / SAMPLE_RATE / PIECE_SECONDS))
    edges = np.linspace(0, len(samples), count + 1).astype(int).tolist()
    for number, (begin, end) in enumerate(pairwise(edges)):
        (logp,) = model.segmentation.run(["logp"], {"wave": samples[None, None, begin:end]})
        classes = np.exp(logp[0])
        offset = begin / SAMPLE_RATE
        for start, stop in _stretches(classes[:, 0] < 0.5, offset):
            windows += _windows(start, stop)
        active = classes @ _VOICES.T > 0.5
        for voice in range(3):
            stretches = tuple(_stretches(active[:, voice], offset))
            alone = list(_stretches(active[:, voice] & (active.sum(axis=1) == 1), offset))
            if sum(stop - start for start, stop in alone) >= LOCAL_SECONDS:
                locals_.append(Local(number, stretches, _embed(model, features, alone)))
    vectors = [_embed(model, features, [window]) for window in windows]
    return Sounds(tuple(windows), np.array(vectors, np.float32).reshape(-1, 192), tuple(locals_))


def average_link(sounds: Sounds) -> list[Turn]:
    """Windows, clustered as a whole."""
    return _turns(sounds.windows, _clustered(sounds.vectors, DISTANCE))


def spectral(sounds: Sounds) -> list[Turn]:
    """Windows, by the eigenvectors of who is like whom; the largest gap says how many people there are."""
    size = len(sounds.windows)
    if size < 4:
        return average_link(sounds)
    alike = np.clip(sounds.vectors @ sounds.vectors.T, 0, 1)
    least = np.sort(alike, axis=1)[:, -max(3, round(NEIGHBOURS * size))][:, None]
    alike = np.where(alike >= least, alike, 0)
    alike = (alike + alike.T) / 2
    roots = 1 / np.sqrt(alike.sum(axis=1))
    values, vectors = np.linalg.eigh(np.eye(size) - roots[:, None] * alike * roots[None])
    count = 1 + int(np.argmax(np.diff(values[: MOST_SPEAKERS + 1])))
    points = vectors[:, :count] / np.linalg.norm(vectors[:, :count], axis=1, keepdims=True)
    _, labels = kmeans2(points, count, minit="++", seed=0)
    return _turns(sounds.windows, np.asarray(labels, np.int64))


def local_voices(sounds: Sounds) -> list[Turn]:
    """The voices of pieces of ten seconds; two of one piece are never one person."""
    if not sounds.locals:
        return []
    apart = _apart(np.stack([each.vector for each in sounds.locals]))
    for one, here in enumerate(sounds.locals):
        for other, there in enumerate(sounds.locals):
            if one != other and here.piece == there.piece:
                apart[one, other] = 1e3
    labels = _linked(apart, LOCAL_DISTANCE)
    return [
        Turn(start, end, f"v{label}")
        for each, label in zip(sounds.locals, labels, strict=True)
        for start, end in each.stretches
    ]


def clustered_anew(sounds: Sounds) -> list[Turn]:
    """While it goes on: the windows so far are clustered every five seconds, and given labels stay."""
    told: list[int] = []
    named = 0
    while len(told) < len(sounds.windows):
        until = sounds.windows[len(told)][0] + ANEW_SECONDS
        known = sum(start < until for start, _ in sounds.windows)
        groups = _clustered(sounds.vectors[:known], DISTANCE)
        shared = np.zeros((groups.max() + 1, max(1, named)))
        for group, label in zip(groups[: len(told)], told, strict=True):
            shared[group, label] += 1
        names = {
            int(row): int(column)
            for row, column in zip(*linear_sum_assignment(-shared), strict=True)
            if shared[row, column]
        }
        for group in groups[len(told) : known].tolist():
            if group not in names:
                names[group], named = named, named + 1
            told.append(names[group])
    return _turns(sounds.windows, np.array(told, np.int64))


def centroids(sounds: Sounds) -> list[Turn]:
    """While it goes on: each window is the nearest voice's, or a new one's."""
    sums: list[Vectors] = []
    labels = []
    for vector in sounds.vectors:
        near = [float(vector @ total) / float(np.linalg.norm(total)) for total in sums]
        if near and max(near) >= 1 - DISTANCE:
            at = int(np.argmax(near))
            sums[at] = sums[at] + vector
        else:
            at = len(sums)
            sums.append(vector)
        labels.append(at)
    return _turns(sounds.windows, np.array(labels, np.int64))


def one_speaker(sounds: Sounds) -> list[Turn]:
    """Everybody is one: what no method may be below."""
    return _turns(sounds.windows, np.zeros(len(sounds.windows), np.int64))


METHODS: dict[str, Callable[[Sounds], list[Turn]]] = {
    "windows of 1.5 s, average link at 0.70": average_link,
    "the same windows, spectral with eigengap": spectral,
    "voices of 10 s pieces, average link at 0.60": local_voices,
    "going on: windows clustered anew every 5 s": clustered_anew,
    "going on: plain centroids": centroids,
    "everything one speaker": one_speaker,
}
"""Those of the first measurements, by name."""


def attributed(transcript: Transcript, turns: Sequence[Turn]) -> Transcript:
    """The same words, each with who speaks nearest to its middle."""

    def speaker(middle: float) -> str:
        near = min(turns, key=lambda turn: max(turn.start - middle, middle - turn.end), default=None)
        return near.speaker if near is not None else "nobody"

    segments = tuple(
        replace(segment, words=(word,), speaker=speaker((word.start + word.end) / 2))
        for segment in transcript.segments
        for word in segment.words
    )
    return replace(transcript, segments=segments)


def _stretches(active: NDArray[np.bool_], offset: float) -> Iterator[Stretch]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], active.astype(np.int8), [0]))))
    for first, last in edges.reshape(-1, 2).tolist():
        yield (
            offset + (FRAME_EDGE + first * FRAME_STEP) / SAMPLE_RATE,
            offset + (FRAME_EDGE + last * FRAME_STEP) / SAMPLE_RATE,
        )


def _windows(start: float, stop: float) -> Iterator[Stretch]:
    at = start
    while True:
        yield at, min(at + WINDOW_SECONDS, stop)
        at += STEP_SECONDS
        if at + WINDOW_SECONDS - STEP_SECONDS >= stop:
            return


def _embed(model: SpeakerModel, features: Vectors, stretches: Sequence[Stretch]) -> Vectors:
    rows = [features[round(start / _HOP_SECONDS) : round(stop / _HOP_SECONDS)] for start, stop in stretches]
    cut = np.concatenate(rows)
    if len(cut) < _FRAME_FEATURES:
        first = max(0, round(stretches[0][0] / _HOP_SECONDS) - _FRAME_FEATURES // 2)
        cut = features[first : first + _FRAME_FEATURES]
    (found,) = model.campplus.run(["embedding"], {"feats": (cut - cut.mean(axis=0))[None]})
    vector: Vectors = found[0] / np.linalg.norm(found[0])
    return vector


def _apart(vectors: Vectors) -> NDArray[np.float64]:
    apart: NDArray[np.float64] = np.clip(1 - vectors.astype(np.float64) @ vectors.T, 0, 2)
    np.fill_diagonal(apart, 0)
    return apart


def _clustered(vectors: Vectors, distance: float) -> Labels:
    return _linked(_apart(vectors), distance) if len(vectors) else np.zeros(0, np.int64)


def _linked(apart: NDArray[np.float64], distance: float) -> Labels:
    if len(apart) < 2:
        return np.zeros(len(apart), np.int64)
    links = linkage(squareform(apart, checks=False), "average")
    return np.asarray(fcluster(links, distance, "distance"), np.int64) - 1


def _turns(windows: Sequence[Stretch], labels: Labels) -> list[Turn]:
    """Each window's own part, which ends halfway to the next one that overlaps it."""
    turns = []
    for at, ((start, end), label) in enumerate(zip(windows, labels.tolist(), strict=True)):
        before = max(start, windows[at - 1][1]) if at else start
        after = min(end, windows[at + 1][0]) if at + 1 < len(windows) else end
        turns.append(Turn((start + before) / 2, (end + after) / 2, f"v{label}"))
    return turns
