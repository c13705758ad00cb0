"""Samples to mel features to encoder output, whose rows can be picked again, and what language it is in."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from gateway.audio.types import MAX_CHUNK_SAMPLES, Samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faster_whisper.feature_extractor import FeatureExtractor
    from numpy.typing import NDArray

WINDOW_FRAMES = 3000
"""Mel frames of 10 ms the encoder reads at once."""

MIN_SAMPLES = 400
"""One Fourier window; shorter input is padded with silence."""

AudioContext: TypeAlias = Literal["full", "fit"]
"""``full`` pads each window to the 30 s that Whisper was trained on, ``fit`` to about its own length."""

FITTED_FRAMES = (500, 1000, 1500, 2000)
"""Lengths that ``fit`` pads to, in mel frames; few, so that rows share calls. CTranslate2 takes any length
up to `WINDOW_FRAMES` and cuts its positions to it; an even number, for the encoder halves it."""

_RANGE = 2.0
"""Whisper's features reach so far below their loudest: 8 decades of power, a fourth of one each."""

_NOTHING = -1.5
"""The feature of no sound at all, where the least power that counts is 1e-10."""

MARGIN_FRAMES = 100
"""Silence after the audio at least. A longer window is padded to the whole."""

HURRIED_FRAMES = (1000, 1500, 2000)
HURRIED_MARGIN_FRAMES = 300
"""The same for rows that are hurried, whose audio ends within a word. With little silence behind it base says
it all again and again: of eleven partials that looped with a second, three did with three. So it does in less
than 10 s in all: of 140 partials of at most 2 s none looped in 10 s, two did in 7 s, nine in 5 s."""


def mel_features(extractor: FeatureExtractor, samples: Samples) -> NDArray[np.float32]:
    """Mel features of one row, shape (mels, frames).

    Raises:
        ValueError: Not a vector, empty, longer than 30 s, or holds values that are no numbers.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
        raise ValueError(f"samples of shape {samples.shape} and type {samples.dtype}")
    if not 0 < len(samples) <= MAX_CHUNK_SAMPLES:
        raise ValueError(f"{len(samples)} samples")
    samples = samples.astype(np.float32, copy=False)
    # Their squares must be finite too, or one loud value makes every mel band infinite.
    if not np.isfinite(samples).all() or np.abs(samples).max() > 1e6:
        raise ValueError("samples that are not finite")
    samples = np.pad(samples, (0, max(0, MIN_SAMPLES - len(samples))))
    # The extractor pads by one hop, whose frame is not audio.
    features: NDArray[np.float32] = extractor(samples)[:, :-1]
    return features


def context_frames(frames: int, context: AudioContext, *, hurried: bool = False) -> int:
    """Frames that a window with so many frames of audio is padded to.

    The encoder's cost grows with what it reads, padding included (`python -m bench audio_context`).

    Args:
        hurried: The row is wanted soon, whatever the context of others is.
    """
    fitting = HURRIED_FRAMES if hurried else FITTED_FRAMES if context == "fit" else ()
    least = frames + (HURRIED_MARGIN_FRAMES if hurried else MARGIN_FRAMES)
    return next((length for length in fitting if length >= least), WINDOW_FRAMES)


def padded(window: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """The window with silence after it as Whisper was trained on it: the features of samples that are zero.

    faster-whisper has zeros there, which are the features of a sound.
    """
    silence = max(float(window.max()) - _RANGE, _NOTHING)
    return np.pad(window, ((0, 0), (0, frames - window.shape[1])), constant_values=silence)


class Encoded:
    """The encoder's output for a batch, kept in main memory so that any rows of it can be decoded again.

    One row of a large model is 3.8 MB in float16, so the way to the GPU and back costs about a
    thousandth of a decode.

    Attributes:
        shortened: The encoder read less than the whole window that it was trained on.
    """

    def __init__(
        self, model: Any, windows: Sequence[NDArray[np.float32]], frames: int = WINDOW_FRAMES
    ) -> None:
        """Encodes the rows.

        Args:
            model: A `ctranslate2.models.Whisper`.
            windows: Shape (mels, at most ``frames``) each.
            frames: How much the encoder reads, at most `WINDOW_FRAMES`; an even number.
        """
        import ctranslate2  # noqa: PLC0415 - a heavy import, workers only

        self._storage = ctranslate2.StorageView
        self.shortened = frames < WINDOW_FRAMES
        stacked = np.stack([padded(window, frames) for window in windows])
        self._whole = model.encode(self._storage.from_array(stacked), to_cpu=True)
        self._rows = np.asarray(self._whole)

    @property
    def not_finite(self) -> list[int]:
        """Rows that overflowed, as loud ones may in float16: what the decoder made of them would be noise."""
        return np.flatnonzero(~np.isfinite(self._rows).all(axis=(1, 2))).tolist()

    def only(self, rows: Sequence[int]) -> Encoded:
        """These rows of it, counted from 0."""
        if list(rows) == list(range(len(self._rows))):
            return self
        some = copy(self)
        whole = self.pick(rows)
        vars(some).update(_whole=whole, _rows=np.asarray(whole))
        return some

    def part(self, row: int, start: int, end: int) -> Any:
        """The `ctranslate2.StorageView` of one row between two mel frames, as it was heard in the whole."""
        part = self._rows[row : row + 1, start // 2 : max(end // 2, start // 2 + 1)]
        return self._storage.from_array(np.ascontiguousarray(part))

    def pick(self, rows: Sequence[int]) -> Any:
        """The `ctranslate2.StorageView` of some rows."""
        if list(rows) == list(range(len(self._rows))):
            return self._whole
        return self._storage.from_array(np.ascontiguousarray(self._rows[list(rows)]))
