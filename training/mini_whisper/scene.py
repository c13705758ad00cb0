"""A scene: which utterances lie where in a training window, and the audio that gives."""

import random
from dataclasses import dataclass

import numpy as np

from training.mini_whisper.bank import Bank, Utterance
from training.mini_whisper.spoken import SAMPLE_RATE, Audio


@dataclass(frozen=True, slots=True)
class Placed:
    """Utterance number ``i`` of the bank, from ``start`` (seconds)."""

    start: float
    i: int
    utterance: Utterance

    @property
    def end(self) -> float:
        """Where it is over."""
        return self.start + self.utterance.seconds


@dataclass(frozen=True, slots=True)
class Scene:
    """What a window of ``frames`` of 10 ms holds.

    Attributes:
        placed: Utterances that lie in it whole, in order.
        crossing: One that the window's end cuts: only its start is to be predicted.
        samples: How much of the window is recording; the rest is padding.
        pool: Utterances the scene was drawn from.
    """

    lang: str
    frames: int
    placed: list[Placed]
    crossing: Placed | None
    samples: int
    pool: list[int]

    @property
    def seconds(self) -> float:
        """The window's length."""
        return self.frames / 100.0

    @property
    def audible(self) -> list[Placed]:
        """All that sounds in the window."""
        return [*self.placed, self.crossing] if self.crossing else self.placed


class SceneMaker:
    """Draws scenes from a bank."""

    def __init__(self, bank: Bank, rng: random.Random) -> None:
        self._bank, self._rng = bank, rng
        self._pools: dict[str, list[int]] = {}
        for i, utterance in enumerate(bank.utterances):
            self._pools.setdefault(utterance.lang, []).append(i)
        self._flite = [i for i, utterance in enumerate(bank.utterances) if utterance.kind == "flite"]

    def draw(self, lang: str, frames: int, *, timed: bool) -> Scene:
        """Draws a scene of ``frames`` of 10 ms: silence, one utterance, or many."""
        rng = self._rng
        seconds = frames / 100.0
        # Long windows: fewer with nothing or a single utterance, so that late positions are seen.
        mode = rng.random() if frames < 2400 else rng.choice((rng.random(), 1.0))
        pool = self._pools[lang]
        if lang == "en" and rng.random() < 0.25:
            pool = self._flite
        placed: list[Placed] = []
        crossing = None
        end = seconds
        if mode < 0.08:
            if rng.random() < 0.5:
                end = rng.uniform(0.4, seconds)
        elif mode < 0.36:
            placed, end = self._one(pool, seconds)
        else:
            placed, crossing = self._many(pool, seconds, timed=timed)
            if placed and crossing is None and rng.random() < 0.4:
                end = min(seconds, placed[-1].end + rng.choice((0.0, rng.uniform(0, 1.5))))
        samples = max(1600, min(frames * 160, int(end * SAMPLE_RATE)))
        return Scene(lang, frames, placed, crossing, samples, pool)

    def render(self, scene: Scene) -> Audio:
        """The scene's samples: voices of different levels, a telephone's band, gain, noise."""
        rng = self._rng
        n = scene.frames * 160
        audio = np.zeros(n, np.float32)
        for placed in scene.audible:
            at = int(placed.start * SAMPLE_RATE)
            voice = self._bank.audio(placed.i)[: n - at]
            audio[at : at + len(voice)] += voice * 10 ** (rng.uniform(-8, 0) / 20)
        if rng.random() < 0.15:  # the tail of a word cut by the window before
            first = scene.placed[0].start if scene.placed else scene.seconds
            tail = self._bank.audio(rng.choice(scene.pool))[-rng.randint(300, 2000) :]
            if len(tail) / SAMPLE_RATE < first - 0.1:
                audio[: len(tail)] += 0.5 * tail
        audio = audio[: scene.samples]
        if rng.random() < 0.1:
            audio = _telephone(audio)
        gain = 10 ** (rng.uniform(-30, 0) / 20)
        audio = audio * gain
        kind = rng.random()
        if kind < 0.5 and scene.placed:
            level = gain * 0.12 * 10 ** (-rng.uniform(10, 45) / 20)
            audio = audio + level * noise(rng, scene.samples)
        elif kind < 0.8:
            level = 10 ** (rng.uniform(-100, -45 if scene.placed else -15) / 20)
            audio = audio + level * noise(rng, scene.samples)
        return np.clip(audio, -1.0, 1.0).astype(np.float32)

    def _place(self, start: float, i: int) -> Placed:
        return Placed(start, i, self._bank.utterances[i])

    def _one(self, pool: list[int], seconds: float) -> tuple[list[Placed], float]:
        rng = self._rng
        i = rng.choice(pool)
        only = self._place(rng.choice((0.0, rng.uniform(0, 0.7))), i)
        fits = only.end <= seconds - 0.05
        return [only] if fits else [], min(seconds, only.end + rng.choice((0.0, rng.uniform(0, 0.8))))

    def _many(self, pool: list[int], seconds: float, *, timed: bool) -> tuple[list[Placed], Placed | None]:
        rng = self._rng
        t = rng.choice((rng.uniform(0, 0.6), rng.expovariate(1 / 1.0)))
        if seconds > 12 and rng.random() < 0.25:
            t = rng.uniform(0, seconds - 4)
        pause = rng.choice((0.5, 0.9, 2.0)) * (1.0 if seconds < 12 else rng.choice((1, 1, 2)))
        most = rng.choice((2, 4, 8, 20, 20)) if seconds > 12 else 20
        placed: list[Placed] = []
        while t < seconds - 0.3 and len(placed) < most:
            following = self._place(t, rng.choice(pool))
            if following.end > seconds - 0.02:
                # Only its start is predicted; the next window begins where the utterance before it ended.
                cut = placed and timed and rng.random() < 0.7
                return placed, following if cut else None
            placed.append(following)
            t = following.end + max(0.15, rng.expovariate(1 / pause))
        return placed, None


def noise(rng: random.Random, n: int) -> Audio:
    """White, brownish or humming noise of unit power."""
    white = np.random.default_rng(rng.getrandbits(32)).standard_normal(n).astype(np.float32)
    kind = rng.random()
    if kind < 0.4:  # leaky integration, through the spectrum
        spectrum = np.fft.rfft(white)
        spectrum /= np.sqrt(1.0 + np.arange(len(spectrum), dtype=np.float32) * (400.0 / len(spectrum)))
        x = np.fft.irfft(spectrum, n).astype(np.float32)
    elif kind < 0.5:
        t = np.arange(n, dtype=np.float32) / SAMPLE_RATE
        hum = np.sin(2 * np.pi * rng.choice((50, 60, 120, 440)) * t).astype(np.float32)
        x = 0.2 * white + hum
    else:
        x = white
    return np.asarray(x / (np.sqrt((x * x).mean()) + 1e-9), np.float32)


def _telephone(audio: Audio) -> Audio:
    # Needed by the training alone; the evaluation reads banks without it.
    import soxr

    narrow = soxr.resample(soxr.resample(audio, SAMPLE_RATE, 8000), 8000, SAMPLE_RATE)
    out = audio.copy()
    out[: min(len(narrow), len(audio))] = narrow[: len(audio)]
    return out
