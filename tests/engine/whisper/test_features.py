"""Features equal faster-whisper's, bad samples are named, rows and parts of them can be picked."""

import numpy as np
import pytest

from gateway.audio.types import MAX_CHUNK_SAMPLES, Samples
from gateway.engine.whisper.engine import WhisperEngine
from gateway.engine.whisper.features import (
    FITTED_FRAMES,
    MARGIN_FRAMES,
    WINDOW_FRAMES,
    Encoded,
    context_frames,
    mel_features,
    padded,
)


def test_ten_milliseconds_per_frame(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """As faster-whisper's `transcribe()` makes them, which drops the last frame too."""
    samples = speech["en_hello"]
    features = mel_features(engine._extractor, samples)

    np.testing.assert_array_equal(features, engine._extractor(samples)[:, :-1])
    assert features.shape == (80, len(samples) // 160)
    assert mel_features(engine._extractor, np.zeros(MAX_CHUNK_SAMPLES, np.float32)).shape == (80, 3000)


def test_shorter_than_a_fourier_window(engine: WhisperEngine) -> None:
    """Padded with silence."""
    assert mel_features(engine._extractor, np.zeros(1, np.float32)).shape[1] >= 1


def test_other_float_types_are_converted(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """Precision is no fault."""
    samples = speech["en_hello"]

    np.testing.assert_array_equal(
        mel_features(engine._extractor, samples.astype(np.float64)),
        mel_features(engine._extractor, samples),
    )


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(0, np.float32),
        np.zeros((2, 400), np.float32),
        np.zeros(MAX_CHUNK_SAMPLES + 1, np.float32),
        np.zeros(400, np.int16),
        np.full(400, np.nan, np.float32),
        np.full(400, -np.inf, np.float32),
        np.full(400, 1e20, np.float32),
    ],
)
def test_bad_samples(engine: WhisperEngine, samples: Samples) -> None:
    """They are found before they can spoil a batch."""
    with pytest.raises(ValueError, match="samples"):
        mel_features(engine._extractor, samples)


def test_picked_rows_are_those_rows(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """In any order and number; all of them in order need no copy."""
    windows = [mel_features(engine._extractor, speech[name]) for name in ("en_hello", "de_zahlen")]
    encoded = Encoded(engine._model, windows)
    whole = np.array(encoded.pick([0, 1]))

    assert whole.shape[0] == 2
    np.testing.assert_array_equal(np.array(encoded.pick([1, 0, 1])), whole[[1, 0, 1]])


@pytest.mark.parametrize("level", [1.0, 1e-3, 0.0])
def test_silence_follows_a_window(engine: WhisperEngine, speech: dict[str, Samples], level: float) -> None:
    """The same as if there were samples that are zero, but for the frames that see both."""
    samples = speech["en_hello"] * np.float32(level)
    window = mel_features(engine._extractor, samples)
    zeros = np.zeros(MAX_CHUNK_SAMPLES - len(samples), np.float32)
    whole = mel_features(engine._extractor, np.concatenate((samples, zeros)))
    silent = padded(window, WINDOW_FRAMES)
    end = window.shape[1]

    assert silent.dtype == np.float32
    np.testing.assert_allclose(silent[:, : end - 1], whole[:, : end - 1], atol=1e-5)
    np.testing.assert_allclose(silent[:, end + 2 :], whole[:, end + 2 :], atol=1e-5)


@pytest.mark.parametrize("frames", [*FITTED_FRAMES, WINDOW_FRAMES])
def test_the_encoder_reads_as_much_as_it_is_told(
    engine: WhisperEngine, speech: dict[str, Samples], frames: int
) -> None:
    """CTranslate2 takes less than the whole window, and gives a step for each two frames."""
    encoded = Encoded(engine._model, [mel_features(engine._extractor, speech["en_hello"])], frames)

    assert np.array(encoded.pick([0])).shape[:2] == (1, frames // 2)
    assert encoded.shortened == (frames < 3000)


def test_fit_leaves_a_margin() -> None:
    """To the shortest of a few lengths that holds the audio and a second; beyond them, the whole window."""
    for frames in range(1, WINDOW_FRAMES + 1):
        fitted = context_frames(frames, "fit")
        shorter = [length for length in FITTED_FRAMES if length < fitted]

        assert fitted in (*FITTED_FRAMES, WINDOW_FRAMES)
        assert fitted == WINDOW_FRAMES or fitted >= frames + MARGIN_FRAMES
        assert all(length < frames + MARGIN_FRAMES for length in shorter)
    assert [context_frames(frames, "fit") for frames in (1, 400, 401, 1900, 1901, 3000)] == [
        *(500, 500, 1000, 2000, 3000, 3000)
    ]


def test_full_is_always_the_whole_window() -> None:
    """What published models were trained on."""
    assert {context_frames(frames, "full") for frames in (1, 400, 1900, 3000)} == {WINDOW_FRAMES}


def test_the_context_of_a_hurried_row() -> None:
    """Shortened whatever that of others is, with more silence behind: its audio ends within a word."""
    for context in ("full", "fit"):
        frames = [context_frames(frames, context, hurried=True) for frames in (1, 700, 701, 1700, 1701)]
        assert frames == [1000, 1000, 1500, 2000, WINDOW_FRAMES]


def test_lengths_are_even() -> None:
    """The encoder halves them; an odd one would be a step longer than its audio."""
    assert all(length % 2 == 0 for length in FITTED_FRAMES)


def test_a_part_of_a_row(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """What the encoder made of it within the whole; some rows of a batch are a batch."""
    windows = [mel_features(engine._extractor, speech[name]) for name in ("en_hello", "de_zahlen")]
    encoded = Encoded(engine._model, windows)
    whole = np.array(encoded.pick([0, 1]))

    np.testing.assert_array_equal(np.array(encoded.part(1, 100, 151)), whole[1:2, 50:75])
    np.testing.assert_array_equal(np.array(encoded.only([1]).pick([0])), whole[1:])
    assert encoded.only([0, 1]) is encoded
