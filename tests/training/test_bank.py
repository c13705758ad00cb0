"""Reading a bank of utterances, and which phrases are kept out of the training."""

import json
import random
from dataclasses import asdict
from pathlib import Path

import numpy as np

from training.mini_whisper.bank import (
    HELD_OUT_VARIANTS,
    VARIANTS,
    Bank,
    Utterance,
    held_out,
    held_out_jobs,
    training_jobs,
)
from training.mini_whisper.vocab import sample_sentence


def test_bank_gives_back_what_was_written(tmp_path: Path) -> None:
    """Each utterance has its own samples, scaled to floats, and the kind of its voice."""
    utterances = [
        Utterance(0, 2, "en", ["hello"], "gmw/en+m1", [(0.0, 0.1)]),
        Utterance(2, 1, "en", ["world"], "gmw/en+f4", [(0.0, 0.1)]),
        Utterance(3, 1, "en", ["world"], "flite/slt", [(0.0, 0.1)]),
    ]
    (tmp_path / "b.json").write_text(json.dumps([asdict(u) for u in utterances]), "utf-8")
    np.array([32767, 0, -32767, 16384], np.int16).tofile(tmp_path / "b.pcm")

    bank = Bank(tmp_path / "b")

    assert [u.kind for u in bank.utterances] == ["seen", "held", "flite"]
    assert bank.audio(0).tolist() == [1.0, 0.0]
    assert bank.audio(1).tolist() == [-1.0]


def test_one_phrase_in_sixteen_is_held_out() -> None:
    """The share is right, the choice is a property of the phrase, and single words are always trained."""
    rng = random.Random(2)
    phrases = [words for words in (sample_sentence("de", rng) for _ in range(4000)) if len(words) > 1]

    share = sum(held_out(words) for words in phrases) / len(phrases)

    assert 0.05 < share < 0.075
    assert not any(held_out([word]) for words in phrases for word in words)


def test_training_never_hears_what_is_held_out() -> None:
    """No job of the training has a held-out phrase or voice, and no seed is used twice."""
    training, validation = training_jobs(), held_out_jobs()

    assert not any(job.held_out for job in training)
    assert all(job.held_out for job in validation)
    assert not set(VARIANTS) & set(HELD_OUT_VARIANTS)
    assert len({job.seed for job in training + validation}) == len(training + validation)
