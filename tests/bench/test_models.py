"""Random weights that behave."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faster_whisper import WhisperModel

from bench.models import Dimensions, make_model
from tests.support import has_avx512

NANO = Dimensions(128, 2, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest model that works, made once."""
    return make_model(tmp_path_factory.mktemp("models") / "nano", NANO)


def _tokens(model: Any, seconds: float) -> list[int]:
    noise = np.random.default_rng(1).standard_normal(round(seconds * 16_000)).astype(np.float32) * 0.1
    segments, _ = model.transcribe(noise, language="en", beam_size=5)
    return [token for segment in segments for token in segment.tokens if segment.temperature == 0]


@pytest.mark.xfail(
    not has_avx512(),
    strict=False,
    reason="int8 without AVX-512 rounds otherwise: random weights then write to the limit",
)
def test_the_text_is_as_long_as_the_audio(folder: Path) -> None:
    """faster-whisper loads it; it writes more for more audio, stops by itself, and needs no retry."""
    model = WhisperModel(str(folder), device="cpu", compute_type="int8", local_files_only=True)
    lengths = [len(_tokens(model, seconds)) for seconds in (3, 10, 20, 30)]

    assert all(10 < more - less < 60 for less, more in pairwise(lengths))
    assert 90 < lengths[-1] < 125


def test_a_model_is_the_same_each_time(folder: Path, tmp_path: Path) -> None:
    """Two runs of the benchmark measure the same weights."""
    again = make_model(tmp_path / "again", NANO)

    assert (again / "model.bin").read_bytes() == (folder / "model.bin").read_bytes()
