"""Recordings of a folder, and those made of them."""

import io
import json
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame

pytest.importorskip("jiwer", reason="jiwer is not installed: pip install -e '.[bench]'")
pytest.importorskip("whisper_normalizer", reason="it is not installed: pip install -e '.[bench]'")

from bench.speech import (
    READER_PAUSE,
    SPEECH_VARIABLE,
    bases,
    code_switch,
    find_speech,
    half_an_hour,
    load,
    onset_of,
    readers,
)
from bench.variants import samples_of, wav
from bench.wer import TimedWord
from gateway.audio.types import SAMPLE_RATE
from tests.support import Sample


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An English and a German recording."""
    noise = np.random.default_rng(1).normal(size=30 * SAMPLE_RATE).astype(np.float32) * 0.1
    (tmp_path / "en.wav").write_bytes(wav(noise))
    (tmp_path / "de.wav").write_bytes(wav(noise[: 24 * SAMPLE_RATE]))
    spans = [[0.0, 9.0, "many words"], [10.0, 12.2, "few words"]]
    rows = [
        {"file": "en.wav", "language": "en", "text": "word " * 80, "spans": spans},
        {"file": "de.wav", "language": "de", "text": "wort", "words": [[0.5, 0.9, "wort"]]},
    ]
    (tmp_path / "recordings.json").write_text(json.dumps(rows))
    return tmp_path


def test_a_folder(folder: Path) -> None:
    """Texts, spans and word times, where there are any."""
    english, german = load(folder)

    assert (english.name, english.language, english.words) == ("en", "en", ())
    assert german.words == (TimedWord(0.5, "wort"),)
    assert len(german.samples) == 24 * SAMPLE_RATE
    assert bases([german, english], 3) == [english]


def test_a_code_switch(folder: Path) -> None:
    """The English utterance of about two seconds, a pause, then the German."""
    switch = code_switch(load(folder))

    assert switch is not None
    assert switch.text == "few words wort"
    assert len(switch.samples) == pytest.approx((2.2 + 2 + 24 + 2) * SAMPLE_RATE, abs=2)
    assert code_switch(load(folder)[:1]) is None


def test_readers(folder: Path) -> None:
    """A recording for each, of all that is said, with pauses; a folder without readers has none."""
    assert readers(folder) == []
    for reader, seconds in (("2", 1), ("1", 2)):
        (folder / "readers" / reader).mkdir(parents=True)
        for number in range(2):
            file = io.BytesIO()
            with av.open(file, "w", format="flac") as container:
                stream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
                frame = AudioFrame(format="s16", layout="mono", samples=seconds * SAMPLE_RATE)
                frame.sample_rate = SAMPLE_RATE
                container.mux([*stream.encode(frame), *stream.encode(None)])
            (folder / "readers" / reader / f"{number}.flac").write_bytes(file.getvalue())
    first, second = readers(folder)

    assert (first.name, second.name) == ("reader_1", "reader_2")
    assert (first.language, first.text) == ("en", "")
    assert len(first.samples) == pytest.approx((4 + 2 * READER_PAUSE) * SAMPLE_RATE, abs=2)


def test_half_an_hour(folder: Path) -> None:
    """Recordings come again until it is full, with their words."""
    recording = half_an_hour(load(folder)[:1])

    assert 1800 <= len(recording.samples) / SAMPLE_RATE < 1840
    assert len(recording.text.split()) == 80 * 59


def test_onset(samples: dict[str, Sample]) -> None:
    """Where speech begins, whatever its level; silence has none."""
    speech = samples_of(samples["en_long"].path.read_bytes())[: 10 * SAMPLE_RATE]
    later = np.concatenate([np.zeros(SAMPLE_RATE, np.float32), speech])

    first, second, quiet = onset_of(speech), onset_of(later), onset_of(later * np.float32(0.003))

    assert first is not None
    assert second == pytest.approx(first + 1, abs=0.1)
    assert quiet == pytest.approx(second, abs=0.2)
    assert onset_of(np.zeros(SAMPLE_RATE, np.float32)) is None


def test_the_folder_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The variable names another folder than the one beside the checkout."""
    monkeypatch.delenv(SPEECH_VARIABLE, raising=False)
    assert find_speech().parts[-2:] == ("shared", "speech")
    monkeypatch.setenv(SPEECH_VARIABLE, str(tmp_path))

    assert find_speech() == tmp_path
