"""Which voices are in a chunk: pyannote's segmentation 3.0 and CAM++ through ONNX Runtime. No torch.

A pure function of the chunk's samples, and of no gain: both networks even it out.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from gateway.audio.speaker_spans import (
    WINDOW_STEP,
    Span,
    Window,
    overlaps_of,
    spans_of,
    windows_of,
)
from gateway.audio.types import SAMPLE_RATE, Samples

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CAMPPLUS_FILE = "campplus.onnx"
SEGMENTATION_FILE = "segmentation.onnx"

LONGEST_PIECE = 10 * SAMPLE_RATE
"""What the segmentation was trained on."""

SHORTEST_PIECE = SAMPLE_RATE
"""A shorter chunk is padded with silence for the segmentation."""

ENOUGH = SAMPLE_RATE
"""Nothing shorter than a second of one voice says who speaks."""

_SHORTEST_WINDOW = SAMPLE_RATE // 4
_FEATURES = 80
_FRAME, _HOP = 400, 160
_BATCH = 16

_LOW_BANDS, _SPEECH_BANDS, _HIGH_BANDS = slice(0, 5), slice(10, 50), slice(64, None)
"""Below 170 Hz and above 4.8 kHz, which no telephone carries, and 0.3 to 3 kHz."""

_LOW_EMPTY, _HIGH_EMPTY = -6.0, -5.0
"""Nepers of power by which these bands of a telephone's sound are below its speech. Low ones were measured
between -7.5 and -11.5 on 300 to 3400 Hz in 8 kHz mu-law, between -0.2 and -5.1 on readers; high ones -10.6,
and between -0.2 and 2.4 on wide-band readers and meetings, with and without noise.

Without the low ones all voices are alike (the mean cosine of two people is 0.36 on the telephone, else 0.06),
not without the high ones alone (0.15): old recordings and calls of 8 kHz that begin at 0 Hz are none."""

Embedding = NDArray[np.float32]
"""Shape (192,), of length 1: the cosine of two is their product."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A stretch of a chunk in which one voice speaks.

    Attributes:
        start: Seconds from the chunk's first sample; so is ``end``.
        is_enough: One voice alone was long enough in it to say who speaks.
        is_narrow: It is of a telephone's band, both ends of which are empty: voices sound more alike there.
    """

    start: float
    end: float
    embedding: Embedding
    is_enough: bool = True
    is_narrow: bool = False


@dataclass(frozen=True, slots=True)
class SpeakerModel:
    """The loaded networks. They keep nothing of a recording, so all recordings and threads share them."""

    segmentation: "InferenceSession"
    campplus: "InferenceSession"

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Loads both networks from the files in ``folder``."""
        import onnxruntime  # noqa: PLC0415  80 MB that only a process with audio needs

        options = onnxruntime.SessionOptions()
        # Recordings share the cores by themselves; the arena never shrinks.
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 4
        return cls(
            *(
                onnxruntime.InferenceSession(
                    folder / name, sess_options=options, providers=["CPUExecutionProvider"]
                )
                for name in (SEGMENTATION_FILE, CAMPPLUS_FILE)
            )
        )

    def hear(self, samples: Samples, breaks: Sequence[int] = (), *, step: int = WINDOW_STEP) -> list[Voice]:
        """The voices of a chunk, shape (n,), in order of time; none in silence. Computes for a while.

        Args:
            breaks: Samples before which a pause was cut out: no voice is told across one.
            step: Samples from one window to the next, at most.
        """
        count = -(-len(samples) // LONGEST_PIECE)
        edges = np.linspace(0, len(samples), count + 1).astype(int).tolist()
        windows: list[Window] = []
        overlaps: list[Span] = []
        for begin, end in pairwise(edges):
            classes = self._classes(samples[begin:end])
            overlaps += [(start + begin, stop + begin) for start, stop in overlaps_of(classes, end - begin)]
            for span in spans_of(classes, end - begin):
                inner = [at - begin for at in breaks if span[0] < at - begin < span[1]]
                for part in pairwise([span[0], *inner, span[1]]):
                    windows += [window.later(begin) for window in windows_of(part, step)]
        if not windows:
            return []
        features = filter_banks(samples)
        alone = _alone(overlaps, len(features))
        cuts = [_cut(features, alone, window) for window in windows]
        embeddings = self._embed([cut for cut, _ in cuts])
        return [
            Voice(
                window.own[0] / SAMPLE_RATE,
                window.own[1] / SAMPLE_RATE,
                embedding,
                is_enough=is_enough,
                is_narrow=_is_narrow(cut),
            )
            for window, embedding, (cut, is_enough) in zip(windows, embeddings, cuts, strict=True)
        ]

    def _classes(self, piece: Samples) -> NDArray[np.float32]:
        padded = np.pad(piece, (0, max(0, SHORTEST_PIECE - len(piece))))
        (logp,) = self.segmentation.run(["logp"], {"wave": padded[None, None]})
        # The frames of the padding are left out.
        frames = max(1, round(logp.shape[1] * len(piece) / len(padded)))
        return np.asarray(np.exp(logp[0][:frames]), dtype=np.float32)

    def _embed(self, cuts: list[NDArray[np.float32]]) -> list[Embedding]:
        """One embedding for each; those of equal length go through the network together."""
        alike = defaultdict[int, list[int]](list)
        for number, cut in enumerate(cuts):
            alike[len(cut)].append(number)
        embeddings = [np.zeros(0, dtype=np.float32)] * len(cuts)
        for numbers in alike.values():
            for at in range(0, len(numbers), _BATCH):
                batch = numbers[at : at + _BATCH]
                # The mean over time is the microphone's.
                feats = np.stack([cuts[number] - cuts[number].mean(axis=0) for number in batch])
                (found,) = self.campplus.run(["embedding"], {"feats": feats})
                for number, embedding in zip(batch, found, strict=True):
                    embeddings[number] = embedding / np.linalg.norm(embedding)
        return embeddings


def filter_banks(samples: Samples) -> NDArray[np.float32]:
    """Kaldi's logarithmic mel filter banks: (frames of 10 ms, 80), the last one within the samples."""
    from kaldi_native_fbank import FbankOptions, OnlineFbank  # noqa: PLC0415 - only where speakers are told apart

    options = FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.samp_freq = SAMPLE_RATE
    options.mel_opts.num_bins = _FEATURES
    fbank = OnlineFbank(options)
    # Kaldi counts samples as 16-bit numbers.
    fbank.accept_waveform(SAMPLE_RATE, (samples * 32768).tolist())
    fbank.input_finished()
    frames = [fbank.get_frame(at) for at in range(fbank.num_frames_ready)]
    return np.array(frames, dtype=np.float32).reshape(-1, _FEATURES)


def _alone(overlaps: Sequence[Span], frames: int) -> NDArray[np.bool_]:
    """In which frames of 10 ms no two speak at once."""
    alone = np.ones(frames, dtype=bool)
    for start, end in overlaps:
        alone[start // _HOP : end // _HOP] = False
    return alone


def _cut(
    features: NDArray[np.float32], alone: NDArray[np.bool_], window: Window
) -> tuple[NDArray[np.float32], bool]:
    """The window's frames, and whether they are enough.

    Where two speak at once is left out, unless too little is left; a window too short for the network is
    widened within the chunk.
    """
    missing = max(0, _SHORTEST_WINDOW - (window.end - window.start))
    first = max(0, window.start - missing // 2) // _HOP
    last = (min(len(features) * _HOP, window.end + missing) - _FRAME) // _HOP + 1
    frames = slice(first, max(last, first + 1))
    cut: NDArray[np.float32] = features[frames]
    share = float(alone[frames].mean())
    is_enough = (window.end - window.start) * share >= ENOUGH
    return cut[alone[frames]] if is_enough else cut, is_enough


def _is_narrow(features: NDArray[np.float32]) -> bool:
    speech = features[:, _SPEECH_BANDS].mean(axis=1)
    low, high = (features[:, bands].mean(axis=1) - speech for bands in (_LOW_BANDS, _HIGH_BANDS))
    return bool(np.median(low) < _LOW_EMPTY and np.median(high) < _HIGH_EMPTY)
