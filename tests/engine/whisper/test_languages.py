"""Which languages a row is in, by the miniature on its own samples."""

import numpy as np
import pytest

from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.engine.whisper.engine import WhisperEngine
from gateway.engine.whisper.features import Encoded, mel_features
from gateway.engine.whisper.languages import CLEAR, find_runs
from gateway.engine.whisper.row import Run


def runs(
    engine: WhisperEngine,
    *parts: Samples,
    candidates: tuple[str, ...] = (),
    expected: str | None = None,
) -> tuple[Run, ...]:
    """Of a row that is made of these, with a break before each but the first."""
    features = mel_features(engine._extractor, np.concatenate(parts))
    breaks = np.cumsum([len(part) for part in parts[:-1]]) * 100 // SAMPLE_RATE
    encoded = Encoded(engine._model, [features])
    return find_runs(engine._model, encoded, 0, features.shape[1], list(breaks), candidates, expected)


@pytest.mark.parametrize(("name", "language"), [("de_zahlen", "de"), ("es_hola", "es"), ("en_hello", "en")])
def test_one_language(engine: WhisperEngine, speech: dict[str, Samples], name: str, language: str) -> None:
    """All of the row is in it."""
    [run] = runs(engine, speech[name])

    assert run.language == language
    assert 0.9 < run.probability <= 1.0


def test_among_candidates(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """The best of them, its probability renormalised among them."""
    [run] = runs(engine, speech["es_hola"], candidates=("en", "de"))
    [only] = runs(engine, speech["es_hola"], candidates=("fr",))

    assert run.language in {"en", "de"}
    assert 0.5 <= run.probability <= 1.0
    assert (only.language, only.probability) == ("fr", 1.0)


def test_two_languages(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """Each part has its own, up to the break; a break within one language divides nothing."""
    english, german = np.tile(speech["en_hello"], 2), speech["de_zahlen"]

    found = runs(engine, english, german, german)

    assert [run.language for run in found] == ["en", "de"]
    assert found[0].end == len(english) * 100 // SAMPLE_RATE


def test_without_a_break_there_is_one_language(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """Nobody changes it within a word."""
    both = np.concatenate([np.tile(speech["en_hello"], 2), speech["de_zahlen"]])

    assert len(runs(engine, both)) == 1


def test_the_expected_language_is_left_only_clearly(
    engine: WhisperEngine, speech: dict[str, Samples]
) -> None:
    """Noise that sounds like any language keeps it, speech in another does not."""
    noise = np.random.default_rng(0).standard_normal(2 * SAMPLE_RATE).astype(np.float32) * np.float32(0.1)
    [unsure] = runs(engine, noise)
    [kept] = runs(engine, noise, expected="de" if unsure.language != "de" else "es")
    [left] = runs(engine, speech["en_hello"], speech["en_hello"], expected="de")

    assert unsure.probability < CLEAR
    assert kept.language != unsure.language
    assert left.language == "en"
