"""Recordings made worse as recordings are, and sounds without speech: seeded, so the same each time.

Samples are 16 kHz mono float32 within -1 to 1.
"""

import io
import wave
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gateway.audio.decode import decode
from gateway.audio.types import SAMPLE_RATE, Samples

MU = 255.0
SEED = 10
SOUND_SECONDS = 30


def samples_of(file: bytes) -> Samples:
    """All of a recording."""
    return np.concatenate(list(decode(io.BytesIO(file), max_seconds=4 * 3600.0)))


def wav(samples: Samples) -> bytes:
    """As a WAV file of 16 bits; what is over full scale is clipped."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def variants(babblers: Sequence[Samples]) -> dict[str, Callable[[Samples], Samples]]:
    """All of them by name.

    Args:
        babblers: Other recordings, who talk at the same time.
    """
    return {
        "telephone (300-3400 Hz, 8 kHz, mu-law)": telephone,
        "-45 dBFS": partial(at_level, decibels=-45),
        "-60 dBFS": partial(at_level, decibels=-60),
        "clipped, 20 dB over full scale": partial(clipped, decibels=20),
        "white noise, 20 dB": partial(noisy, decibels=20),
        "white noise, 10 dB": partial(noisy, decibels=10),
        "white noise, 0 dB": partial(noisy, decibels=0),
        "babble, 10 dB": partial(babble, others=babblers, decibels=10),
        "music before": music_before,
        "music under, 15 dB": partial(music_under, decibels=15),
        "pauses of 1-4 s": with_pauses,
    }


def telephone(samples: Samples) -> Samples:
    """Its band, its rate and its eight bits."""
    band = _band(samples / max(_peak(samples), 1e-9) * 0.5, 300, 3400)
    # What is below 4 kHz is whole at every second sample.
    narrow = band[::2]
    companded = np.sign(narrow) * np.log1p(MU * np.abs(narrow)) / np.log1p(MU)
    coded = np.round(companded * 127) / 127
    expanded = np.sign(coded) * (np.power(1 + MU, np.abs(coded)) - 1) / MU
    wide = np.zeros(2 * len(expanded))
    wide[::2] = 2 * expanded
    return _band(wide[: len(samples)], 0, 3900)


def at_level(samples: Samples, decibels: float) -> Samples:
    """Scaled so that its peak has that level, in decibels of full scale."""
    return _float32(samples * 10 ** (decibels / 20) / max(_peak(samples), 1e-9))


def clipped(samples: Samples, decibels: float) -> Samples:
    """So far over full scale, and cut off there."""
    return np.clip(at_level(samples, decibels), -1, 1)


def noisy(samples: Samples, decibels: float) -> Samples:
    """With white noise so far below its mean power."""
    return _mixed(samples, np.random.default_rng(SEED).normal(size=len(samples)), decibels)


def babble(samples: Samples, others: Sequence[Samples], decibels: float) -> Samples:
    """With several people who talk at once."""
    voices = [np.resize(other / max(other.std(), 1e-9), len(samples)) for other in others]
    return _mixed(samples, np.sum(voices, axis=0), decibels)


def music_before(samples: Samples) -> Samples:
    """Eight seconds of chords, as loud as the speech, then the speech."""
    music = chords(8 * SAMPLE_RATE)
    return np.concatenate([_float32(music * samples.std() / music.std()), samples])


def music_under(samples: Samples, decibels: float) -> Samples:
    """Chords all the time."""
    return _mixed(samples, chords(len(samples)), decibels)


def with_pauses(samples: Samples) -> Samples:
    """With 1 to 4 s of its own background in the quietest moment of every 4 to 8 s."""
    random = np.random.default_rng(SEED)
    frame = SAMPLE_RATE // 50
    power = np.square(samples[: len(samples) // frame * frame]).reshape(-1, frame).mean(axis=1)
    floor = float(np.sqrt(np.quantile(power, 0.05)))
    # Of a fifth of a second, so that no stop within a word is taken for a pause.
    smooth = np.convolve(power, np.ones(10), mode="same")
    pieces, start = [], 0
    while start + 8 * SAMPLE_RATE < len(samples):
        first = (start + 4 * SAMPLE_RATE) // frame
        cut = (first + int(np.argmin(smooth[first : first + 200]))) * frame
        silence = floor * random.normal(size=int(random.uniform(1, 4) * SAMPLE_RATE))
        pieces += [samples[start:cut], _float32(silence)]
        start = cut
    return np.concatenate([*pieces, samples[start:]])


def joined(recordings: Sequence[Samples], pause: float = 0.7) -> Samples:
    """One after the other."""
    silence = np.zeros(int(pause * SAMPLE_RATE), np.float32)
    return np.concatenate([piece for each in recordings for piece in (each, silence)])


def chords(length: int) -> Samples:
    """Struck chords of three harmonics each note, as a piano is heard through a wall."""
    random = np.random.default_rng(SEED)
    music = np.zeros(length)
    for start in range(0, length, SAMPLE_RATE // 2):
        time = np.arange(min(2 * SAMPLE_RATE, length - start)) / SAMPLE_RATE
        root = 110 * 2 ** (random.choice([0, 2, 4, 5, 7, 9, 11]) / 12)
        for interval in (0, random.choice([3, 4]), 7, 12):
            for harmonic in (1, 2, 3):
                pitch = root * 2 ** (interval / 12) * harmonic
                music[start : start + len(time)] += (
                    np.sin(2 * np.pi * pitch * time) * np.exp(-2 * time) / harmonic
                )
    return _float32(music * 0.3 / max(_peak(music), 1e-9))


def sounds(seconds: int = SOUND_SECONDS) -> Mapping[str, Samples]:
    """Nine kinds of sound in which nobody speaks."""
    random = np.random.default_rng(SEED)
    length = seconds * SAMPLE_RATE
    time = np.arange(length) / SAMPLE_RATE
    clicks = np.zeros(length)
    clicks[random.integers(0, length, 4 * seconds)] = random.choice([-0.8, 0.8], 4 * seconds)
    breath = _band(random.normal(size=length), 300, 4000) * np.clip(np.sin(2 * np.pi * 0.3 * time), 0, 1) ** 2
    made = {
        "silence": np.zeros(length),
        "white noise": random.normal(size=length),
        "pink noise": _coloured(random.normal(size=length), 0.5),
        "brown noise": _coloured(random.normal(size=length), 1.0),
        "hum of 50 Hz": sum(np.sin(2 * np.pi * 50 * n * time) / n for n in range(1, 12)),
        "clicks": clicks,
        "sweeps": np.sin(2 * np.pi * (100 * (time % 5) + 380 * (time % 5) ** 2)),
        "chords": chords(length),
        "breathing": breath,
    }
    return {name: _float32(0.3 * sound / max(_peak(sound), 1e-9)) for name, sound in made.items()}


def _mixed(samples: Samples, noise: NDArray[np.floating], decibels: float) -> Samples:
    """With the noise so far below; quieter as a whole where the sum would clip."""
    mixed = samples + noise * (samples.std() / max(noise.std(), 1e-9) / 10 ** (decibels / 20))
    return _float32(mixed / max(1.0, _peak(mixed)))


def _band(samples: NDArray[np.floating], low: float, high: float) -> Samples:
    spectrum = np.fft.rfft(samples)
    frequencies = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    spectrum[(frequencies < low) | (frequencies > high)] = 0
    return _float32(np.fft.irfft(spectrum, len(samples)))


def _coloured(noise: NDArray[np.floating], slope: float) -> NDArray[np.floating]:
    """With an amplitude that falls with that power of the frequency, from 20 Hz on."""
    spectrum = np.fft.rfft(noise)
    frequencies = np.fft.rfftfreq(len(noise), 1 / SAMPLE_RATE)
    return np.fft.irfft(spectrum / np.maximum(frequencies, 20.0) ** slope, len(noise))


def _peak(samples: NDArray[np.floating]) -> float:
    return float(np.abs(samples).max(initial=0.0))


def _float32(samples: NDArray[np.floating]) -> Samples:
    return np.asarray(samples, np.float32)
