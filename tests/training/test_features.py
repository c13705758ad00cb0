"""Training hears what faster-whisper hears."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is installed for training only")

from faster_whisper.feature_extractor import FeatureExtractor

from training.mini_whisper.features import log_mel


def test_features_equal_faster_whispers() -> None:
    """Noise with a loud and a silent part gives the same log-mel frames."""
    audio = np.random.default_rng(1).standard_normal(48_000).astype(np.float32) * 0.1
    audio[16_000:32_000] = 0.0

    ours = log_mel(audio).numpy()

    theirs = FeatureExtractor(feature_size=80)(audio, padding=160)
    assert np.abs(ours[:, :300] - theirs[:, :300]).max() < 1e-4
