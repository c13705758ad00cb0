"""The recordings that the words benchmark makes: what it says they are, and the same each time."""

import numpy as np
import pytest

from bench.variants import SOUND_SECONDS, at_level, samples_of, sounds, telephone, variants, wav, with_pauses
from gateway.audio.types import SAMPLE_RATE, Samples


@pytest.fixture(scope="module")
def talk() -> Samples:
    """Bursts of noise with short gaps: as loud and as long as talk."""
    random = np.random.default_rng(1)
    noise = random.normal(size=20 * SAMPLE_RATE) * 0.05
    noise.reshape(-1, SAMPLE_RATE)[:, -SAMPLE_RATE // 5 :] *= 0.01
    return noise.astype(np.float32)


def test_wav_keeps_the_samples(talk: Samples) -> None:
    """Sixteen bits of them."""
    assert np.allclose(samples_of(wav(talk)), talk, atol=2e-4)


def test_variants_repeat(talk: Samples) -> None:
    """Two runs hear the same; nothing is over full scale, and the speech is never shortened."""
    for name, change in variants([talk[::-1]]).items():
        changed = change(talk)

        assert changed.dtype == np.float32, name
        assert np.abs(changed).max() <= 1, name
        assert len(changed) >= len(talk), name
        assert np.array_equal(changed, change(talk)), name


def test_levels(talk: Samples) -> None:
    """The peak is where it was asked for."""
    assert np.abs(at_level(talk, -60)).max() == pytest.approx(0.001)


def test_telephone_has_its_band(talk: Samples) -> None:
    """Nothing below 200 Hz or above 4 kHz, and the speech in between."""
    power = np.square(np.abs(np.fft.rfft(telephone(talk))))
    hertz = np.fft.rfftfreq(len(talk), 1 / SAMPLE_RATE)

    band = power[(hertz > 300) & (hertz < 3400)].mean()

    assert power[hertz < 200].mean() < band / 100
    assert power[hertz > 4000].mean() < band / 1000


def test_pauses_lie_between_words(talk: Samples) -> None:
    """They are put into the gaps, so that no burst is torn."""
    longer = with_pauses(talk)
    loud = np.abs(longer) > 0.02
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud, [0]]).astype(int)))

    gaps = edges[2::2] - edges[1:-1:2]

    assert len(longer) > len(talk) + 2 * SAMPLE_RATE
    assert sum(gaps > SAMPLE_RATE) >= 2
    assert sum(gaps > SAMPLE_RATE // 10) == 19


def test_sounds() -> None:
    """Nine, each of its own length and level; silence is digital."""
    made = sounds()

    assert len(made) == 9
    for name, sound in made.items():
        peak = np.abs(sound).max()
        assert len(sound) == SOUND_SECONDS * SAMPLE_RATE
        assert peak == (0 if name == "silence" else pytest.approx(0.3, abs=1e-3))
