"""Alignment of rows of several languages and tasks in one batch."""

from types import SimpleNamespace

import pytest

from gateway.audio.types import Samples
from gateway.engine.whisper.alignment import Written, _read, align
from gateway.engine.whisper.engine import WhisperEngine
from gateway.engine.whisper.features import Encoded, mel_features
from tests.support import Sample


def test_reads_the_first_step_of_each_token() -> None:
    """The path may stay on a token for many steps, and on a step for many tokens."""
    pairs = [(0, 0), (0, 1), (0, 2), (1, 3), (1, 4), (2, 4), (3, 9)]
    result = SimpleNamespace(alignments=pairs, text_token_probs=[0.1, 0.2, 0.3])

    assert _read(result).begins == pytest.approx((0.0, 0.06, 0.08, 0.18))
    assert _read(result).probabilities == (0.1, 0.2, 0.3)


def test_aligns_rows_of_several_languages(
    engine: WhisperEngine, speech: dict[str, Samples], samples: dict[str, Sample]
) -> None:
    """Each text is found where it was spoken, whatever its mates' languages and lengths."""
    names = ("en_hello", "de_zahlen", "en_numbers")
    windows = [mel_features(engine._extractor, speech[name]) for name in names]
    encoded = Encoded(engine._model, windows)
    written = [
        Written(
            at,
            tuple(engine._vocabulary.encode(" " + samples[name].text)),
            windows[at].shape[1],
            samples[name].language,
            "transcribe",
        )
        for at, name in enumerate(names)
    ]
    alignments = align(engine._model, engine._vocabulary, encoded, written)

    for at, name in enumerate(names):
        assert len(alignments[at].begins) == len(written[at].tokens) + 1
        # The full stop, which is the last token, begins where the last word ends.
        assert alignments[at].begins[-2] == pytest.approx(samples[name].utterances[-1]["end"], abs=0.3)
        assert all(0.0 <= probability <= 1.0 for probability in alignments[at].probabilities)
    assert align(engine._model, engine._vocabulary, encoded, []) == {}
