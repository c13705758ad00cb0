"""Voices of a chunk, with toy networks; and the features that the real ones were trained on."""

from itertools import pairwise

import numpy as np
import pytest

from gateway.audio.speaker_model import SpeakerModel, filter_banks
from gateway.audio.types import SAMPLE_RATE, Samples
from tests.toy_speakers import write_toy_speakers


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SpeakerModel:
    """Toy networks."""
    return SpeakerModel.load(write_toy_speakers(tmp_path_factory.mktemp("toy")))


def _noise(seconds: float, seed: int = 0) -> Samples:
    random = np.random.default_rng(seed)
    return (0.1 * random.standard_normal(round(seconds * SAMPLE_RATE))).astype(np.float32)


def test_voices_lie_where_sound_is(model: SpeakerModel) -> None:
    """Silence has none; what is heard is covered without a gap, by embeddings of length 1."""
    silence = np.zeros(SAMPLE_RATE, dtype=np.float32)

    voices = model.hear(np.concatenate([silence, _noise(4.0), silence]))

    assert model.hear(silence) == []
    assert voices[0].start == pytest.approx(1.0, abs=0.1)
    assert voices[-1].end == pytest.approx(5.0, abs=0.1)
    assert all(one.end == other.start for one, other in pairwise(voices))
    assert all(np.linalg.norm(voice.embedding) == pytest.approx(1.0) for voice in voices)
    assert all(voice.is_enough for voice in voices)


@pytest.mark.parametrize("samples", [0, 1, 399, 1600, 4000, 16_001, 160_001, 480_000])
def test_any_length(model: SpeakerModel, samples: int) -> None:
    """Nothing is too short or too long; times stay within the chunk."""
    voices = model.hear(_noise(30.0)[:samples])

    assert bool(voices) == (samples >= 1600)
    assert all(0 <= voice.start < voice.end <= samples / SAMPLE_RATE for voice in voices)


def test_gain_changes_nothing(model: SpeakerModel) -> None:
    """The features' mean is taken off, so a voice sounds the same near and far."""
    loud, quiet = (model.hear(_noise(3.0) * np.float32(gain)) for gain in (1.0, 0.3))

    cosines = [float(one.embedding @ other.embedding) for one, other in zip(loud, quiet, strict=True)]
    assert min(cosines) > 0.999


def test_two_at_once_say_nothing(model: SpeakerModel) -> None:
    """What is said at once is left out of the voices around it; a voice in which nothing else is, is none."""
    random = np.random.default_rng(3)
    one = _noise(1.5)
    one[SAMPLE_RATE // 2 : SAMPLE_RATE * 9 // 10] = random.choice([-0.9, 0.9], SAMPLE_RATE * 4 // 10)
    other = one.copy()
    other[SAMPLE_RATE * 6 // 10 : SAMPLE_RATE * 8 // 10] = 0.9 * np.sin(np.arange(SAMPLE_RATE // 5))

    (first,), (second,) = model.hear(one), model.hear(other)
    (both,) = model.hear(random.choice(np.array([-0.9, 0.9], np.float32), 3 * SAMPLE_RATE // 2))

    assert first.is_enough
    assert float(first.embedding @ second.embedding) > 0.9999
    assert not both.is_enough


@pytest.mark.parametrize(
    ("lowest", "highest", "expected"),
    [(0, 8_000, False), (300, 3_400, True), (0, 4_000, False), (300, 8_000, False)],
)
def test_telephone_band(model: SpeakerModel, lowest: float, highest: float, *, expected: bool) -> None:
    """Without anything below 300 Hz and above 4 kHz it is a telephone's; either alone is not."""
    wide = _noise(3.0)
    spectrum = np.fft.rfft(wide)
    frequencies = np.fft.rfftfreq(len(wide), 1 / SAMPLE_RATE)
    spectrum[(frequencies < lowest) | (frequencies > highest)] = 0
    sound = np.fft.irfft(spectrum, len(wide)).astype(np.float32)

    assert {voice.is_narrow for voice in model.hear(sound)} == {expected}


def test_filter_banks() -> None:
    """Kaldi's definition, written out: windows, pre-emphasis, mel bands, logarithm."""
    samples = _noise(0.5, seed=1)

    found = filter_banks(samples)

    frames = np.lib.stride_tricks.sliding_window_view(samples * 32768.0, 400)[::160]
    frames = frames - frames.mean(axis=1, keepdims=True)
    frames = frames - 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    power = np.abs(np.fft.rfft(frames * np.hanning(400) ** 0.85, 512)) ** 2
    mels = 1127 * np.log1p(np.arange(256) * SAMPLE_RATE / 512 / 700)
    low, high = (1127 * np.log1p(edge / 700) for edge in (20.0, 8000.0))
    centres = low + (high - low) / 81 * np.arange(82)
    rising = (mels - centres[:-2, None]) / (centres[1] - centres[0])
    banks = np.clip(np.minimum(rising, 2 - rising), 0, None)
    expected = np.log(power[:, :256] @ banks.T)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 0.01
