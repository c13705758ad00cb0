"""Samples to mel features to encoder output, whose rows can be picked again for retries and alignment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


class BadSamplesError(ValueError):
    """These samples cannot be decoded; says what is wrong with them."""


def mel_features(extractor: FeatureExtractor, samples: Samples) -> NDArray[np.float32]:
    """Mel features of one row, shape (mels, frames).

    Raises:
        BadSamplesError: Not a vector, empty, longer than 30 s, or holds values that are no numbers.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
        raise BadSamplesError(f"samples of shape {samples.shape} and type {samples.dtype}")
    if not 0 < len(samples) <= MAX_CHUNK_SAMPLES:
        raise BadSamplesError(f"{len(samples)} samples")
    samples = samples.astype(np.float32, copy=False)
    # Their squares must be finite too, or one loud value makes every mel band infinite.
    if not np.isfinite(samples).all() or np.abs(samples).max() > 1e6:
        raise BadSamplesError("samples that are not finite")
    samples = np.pad(samples, (0, max(0, MIN_SAMPLES - len(samples))))
    # The extractor pads by one hop, whose frame is not audio.
    features: NDArray[np.float32] = extractor(samples)[:, :-1]
    return features


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
            windows: Shape (mels, at most ``frames``) each; padded with zeros as faster-whisper does.
            frames: How much the encoder reads, at most `WINDOW_FRAMES`; an even number.
        """
        import ctranslate2  # noqa: PLC0415 - a heavy import, workers only

        self._storage = ctranslate2.StorageView
        self.shortened = frames < WINDOW_FRAMES
        stacked = np.zeros((len(windows), windows[0].shape[0], frames), np.float32)
        for row, window in zip(stacked, windows, strict=True):
            row[:, : window.shape[1]] = window
        self._whole = model.encode(self._storage.from_array(stacked), to_cpu=True)
        self._rows = np.asarray(self._whole)

    def pick(self, rows: Sequence[int]) -> Any:
        """The `ctranslate2.StorageView` of some rows."""
        if list(rows) == list(range(len(self._rows))):
            return self._whole
        return self._storage.from_array(np.ascontiguousarray(self._rows[list(rows)]))
