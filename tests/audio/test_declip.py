"""Cut tops are put back, and nothing else is changed."""

import numpy as np
import pytest

from gateway.audio.declip import declip
from gateway.audio.types import SAMPLE_RATE, Samples

HOP = SAMPLE_RATE // 10


def voice(seconds: float = 1.0) -> Samples:
    """A buzz of 140 Hz with three resonances, which comes and goes."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    sound = sum(
        np.exp(-(((140 * n - formant) / 150) ** 2)) * np.sin(2 * np.pi * 140 * n * time + n)
        for n in range(1, 24)
        for formant in (500, 1500, 2500)
    )
    return np.asarray(0.5 * sound / np.abs(sound).max() * np.sin(np.pi * 3 * time) ** 2, np.float32)


def signal_to_error(truth: Samples, found: Samples) -> float:
    """Decibels, at the scale that fits best."""
    scale = float(truth @ found) / float(found @ found)
    return float(10 * np.log10(float(truth @ truth) / float(np.square(truth - scale * found).sum())))


@pytest.mark.parametrize("decibels", [12, 20, 30])
def test_tops_are_put_back(decibels: float) -> None:
    """What comes out is nearer to what was recorded."""
    clean = voice()
    clipped = np.clip(clean / np.abs(clean).max() * 10 ** (decibels / 20), -1, 1).astype(np.float32)

    rounded = declip(clipped.reshape(-1, HOP)).reshape(-1)

    assert signal_to_error(clean, rounded) > signal_to_error(clean, clipped) + 1.5


def test_nothing_else_is_changed() -> None:
    """A voice within full scale, noise, silence and a level line keep their samples, all but a hundredth."""
    noise = np.random.default_rng(1).normal(size=SAMPLE_RATE).astype(np.float32)
    for sound in (voice(), noise, np.zeros(SAMPLE_RATE, np.float32), np.full(SAMPLE_RATE, 0.3, np.float32)):
        hops = sound.reshape(-1, HOP)

        assert np.abs(declip(hops) - hops).max() <= 0.01 * np.abs(hops).max()


def test_hops_do_not_depend_on_each_other() -> None:
    """So that a stream gives the same, however it comes."""
    hops = np.clip(8 * voice(), -1, 1).reshape(-1, HOP)
    whole = declip(hops)

    np.testing.assert_array_equal(whole, np.concatenate([declip(hop[None]) for hop in hops]))
    assert declip(hops[:0]).shape == (0, HOP)
