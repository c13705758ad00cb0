"""Scenes: what a training window may hold."""

import random

import numpy as np
import pytest

from training.mini_whisper.bank import Bank
from training.mini_whisper.scene import SceneMaker, noise


@pytest.mark.parametrize("frames", [400, 800, 3000])
def test_utterances_lie_in_order_inside_the_window(bank: Bank, frames: int) -> None:
    """Whole ones end before the window does, none overlaps the next, and only the cut one reaches beyond."""
    maker = SceneMaker(bank, random.Random(1))

    scenes = [maker.draw("en", frames, timed=True) for _ in range(300)]

    for scene in scenes:
        assert all(a.end <= b.start for a, b in zip(scene.audible, scene.audible[1:], strict=False))
        assert all(placed.end <= scene.seconds for placed in scene.placed)
        assert 1600 <= scene.samples <= frames * 160
        if scene.crossing:
            assert scene.crossing.start < scene.seconds < scene.crossing.end + 0.02
    assert {len(scene.placed) == 0 for scene in scenes} == {True, False}
    assert any(scene.crossing for scene in scenes)


def test_without_times_nothing_is_cut(bank: Bank) -> None:
    """A start that cannot be written as a timestamp must not be in the window."""
    maker = SceneMaker(bank, random.Random(1))

    scenes = [maker.draw("de", 400, timed=False) for _ in range(300)]

    assert not any(scene.crossing for scene in scenes)


@pytest.mark.parametrize("kind", [0.2, 0.45, 0.9])
def test_noise_has_unit_power(kind: float) -> None:
    """Brownish, humming and white noise are equally loud."""
    rng = random.Random(3)
    rng.random = lambda: kind  # type: ignore[method-assign]  # chooses the kind of noise

    x = noise(rng, 16_000)

    assert x.shape == (16_000,)
    assert np.sqrt((x**2).mean()) == pytest.approx(1.0, abs=1e-3)
