"""What a row costs by the length that the encoder reads, which is what `audio_context = fit` saves.

For the tests' miniature Whisper and for random weights of Whisper tiny's dimensions; what `fit` does to words
is among the figures of `python -m bench words`.
"""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import ctranslate2
import numpy as np

from bench.engines import WINDOWS
from bench.stage import Bench, Finding, Table
from bench.stats import seconds

BATCH = 4
STEPS = 32
"""Tokens of an utterance of some seconds."""

TIMES = 3


def run(bench: Bench) -> Iterator[Finding]:
    """Both models' costs."""
    for name in ("miniature", "tiny"):
        yield _costs(name, bench.model(name))


def _costs(name: str, folder: Path) -> Table:
    """The fastest of some calls, by the length that the encoder reads; the machine is shared."""
    model = ctranslate2.models.Whisper(str(folder), compute_type="int8")
    start = json.loads((folder / "vocabulary.json").read_text()).index("<|startoftranscript|>")
    starts, rows = [[start]] * BATCH, list[tuple[str, ...]]()
    for frames in WINDOWS:
        noise = np.random.default_rng(1).normal(size=(BATCH, 80, frames)).astype(np.float32)
        features = ctranslate2.StorageView.from_array(noise)
        encode = partial(model.encode, features, to_cpu=True)
        decode = partial(model.generate, encode(), starts, beam_size=1, max_length=2 * STEPS)
        decode()
        took = (min(seconds(work) for _ in range(TIMES)) / BATCH * 1000 for work in (encode, decode))
        rows.append((f"{frames / 100:.0f} s", *(f"{each:.1f}" for each in took)))
    return Table(f"{name}: ms per row, batch of {BATCH}", ("read", "encode", f"{STEPS} tokens, greedy"), rows)
