"""Language detection with and without candidates."""

from gateway.audio.types import Samples
from gateway.engine.whisper.engine import WhisperEngine
from gateway.engine.whisper.features import Encoded, mel_features
from gateway.engine.whisper.language import detect_languages


def test_detects_among_all_or_some(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """The best of the candidates, its probability renormalised among them; rows in any order."""
    names = ("de_zahlen", "es_hola", "en_hello")
    encoded = Encoded(engine._model, [mel_features(engine._extractor, speech[name]) for name in names])
    answers = detect_languages(engine._model, encoded, [2, 0, 1, 1], [(), (), ("en", "de"), ("fr",)])

    assert [language for language, _ in answers[:2]] == ["en", "de"]
    assert all(0.9 < probability <= 1.0 for _, probability in answers[:2])
    assert answers[2][0] in {"en", "de"}
    assert 0.5 <= answers[2][1] <= 1.0
    assert answers[3] == ("fr", 1.0)


def test_nothing_to_detect(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """Where every row brings its language no call is made."""
    encoded = Encoded(engine._model, [mel_features(engine._extractor, speech["en_hello"])])

    assert detect_languages(engine._model, encoded, [], []) == []
