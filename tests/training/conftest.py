"""A bank small enough to know by heart."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from training.mini_whisper.bank import Bank, Utterance


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    """Three languages and flite; utterances of one or two words of half a second each."""
    said = [
        ("en", ["hello", "world"], "gmw/en+m1"),
        ("en", ["stop"], "gmw/en+f4"),
        ("en", ["open", "door"], "flite/slt"),
        ("de", ["guten", "morgen"], "gmw/de+m1"),
        ("es", ["hola"], "roa/es+m1"),
    ]
    utterances, at = [], 0
    for lang, words, voice in said:
        times = [(0.5 * k, 0.5 * k + 0.5) for k in range(len(words))]
        utterances.append(Utterance(at, 8000 * len(words), lang, words, voice, times))
        at += 8000 * len(words)
    (tmp_path / "b.json").write_text(json.dumps([asdict(u) for u in utterances]), "utf-8")
    np.random.default_rng(0).integers(-16384, 16384, at).astype(np.int16).tofile(tmp_path / "b.pcm")
    return Bank(tmp_path / "b")
