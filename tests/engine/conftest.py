"""What the Whisper tests share: the miniature, loaded once, and its recordings as samples."""

from pathlib import Path

import av
import numpy as np
import pytest

from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.engine.whisper.engine import WhisperEngine, WhisperSpec
from tests.support import Sample


@pytest.fixture(scope="session")
def engine(mini_whisper: WhisperSpec) -> WhisperEngine:
    """The miniature Whisper, loaded. It keeps no state between calls."""
    return mini_whisper.load()


@pytest.fixture(scope="session")
def speech(samples: dict[str, Sample]) -> dict[str, Samples]:
    """The recordings as 16 kHz mono float32, by name."""
    return {name: _decode(sample.path) for name, sample in samples.items()}


def _decode(path: Path) -> Samples:
    with av.open(path) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        frames = [*container.decode(audio=0), None]
        blocks = [block.to_ndarray()[0] for frame in frames for block in resampler.resample(frame)]
    return np.concatenate(blocks).astype(np.float32)
