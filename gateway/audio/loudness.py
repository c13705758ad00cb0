"""Loudness after ITU-R BS.1770 / EBU R128: a running gain for what the VAD sees, one gain for each chunk.

The K-weighting is applied to the power spectrum of 100 ms hops instead of to the samples: no filter state,
and on speech within 0.1 LU of FFmpeg's ``ebur128``.
"""

from collections import deque
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from gateway.audio.declip import declip
from gateway.audio.types import SAMPLE_RATE, Samples

TARGET_LUFS = -23.0
"""EBU R128's programme level. Speech peaks some 18 dB above its loudness, so the limiter is nearly idle."""

MAX_GAIN_DB = 60.0
"""Lifts speech whose peaks are 60 dB below full scale to the target. Noise is left to Silero."""

HOP = SAMPLE_RATE // 10

_BLOCK_HOPS = 4
_ABSOLUTE_GATE_LUFS = -95.0
"""Below lies the rounding of 16 bits (-98 LUFS, with dither), and nothing that could be speech. The -70 of
the standard, meant for programmes, would leave quiet recordings unheard."""

_RELATIVE_GATE_LU = -10.0
_OFFSET_LUFS = -0.691

_MEMORY_BLOCKS = 200
"""The running loudness looks back over 20 s of sound: one slammed door is forgotten, a sentence is not."""

_RISE_DB_PER_HOP = 0.3
"""3 dB/s upward, so pauses do not pump. Downward the gain follows at once, or speech would be distorted."""

_KNEE = 0.8

_Energies: TypeAlias = NDArray[np.float64]


def k_weights() -> _Energies:
    """|H(f)|² of BS.1770's two filters at the bins of a hop's spectrum, scaled to sum to a mean square."""
    # Annex 1, tables 1 and 2: biquads for 48 kHz, evaluated at our frequencies.
    shelf = (
        (1.53512485958697, -2.69169618940638, 1.19839281085285),
        (1.0, -1.69065929318241, 0.73248077421585),
    )
    highpass = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(HOP, 1 / SAMPLE_RATE) / 48_000)
    response = np.ones(len(z), dtype=np.complex128)
    for numerator, denominator in (shelf, highpass):
        response *= np.polyval(numerator[::-1], z) / np.polyval(denominator[::-1], z)
    # Parseval: a one-sided spectrum counts all bins but the first and the last twice.
    sides = np.full(len(z), 2.0)
    sides[[0, -1]] = 1.0
    weights: _Energies = np.abs(response) ** 2 * sides / HOP**2
    return weights


def hop_energies(hops: Samples, weights: _Energies) -> _Energies:
    """K-weighted mean square of each row of shape (n, HOP), none depending on another."""
    spectra = np.fft.rfft(hops.astype(np.float64), axis=1)
    energies: _Energies = np.sum((spectra.real**2 + spectra.imag**2) * weights, axis=1)
    return energies


def gated_loudness(blocks: _Energies) -> float | None:
    """Integrated loudness in LUFS of 400 ms blocks, or None where all of them are silence."""
    audible = blocks[blocks >= _energy(_ABSOLUTE_GATE_LUFS)]
    return _relatively_gated(audible) if len(audible) else None


def _relatively_gated(audible: _Energies) -> float:
    relative = _energy(_lufs(float(audible.mean())) + _RELATIVE_GATE_LU)
    return _lufs(float(audible[audible >= relative].mean()))


def measure(samples: Samples) -> float | None:
    """Integrated loudness in LUFS of all these samples, or None where it is silence."""
    if not len(samples):
        return None
    hops = np.pad(samples, (0, -len(samples) % HOP)).reshape(-1, HOP)
    energies = hop_energies(hops, k_weights())
    if len(energies) < _BLOCK_HOPS:
        return gated_loudness(energies.sum(keepdims=True) * HOP / len(samples))
    return gated_loudness(np.convolve(energies, np.full(_BLOCK_HOPS, 1 / _BLOCK_HOPS), mode="valid"))


def normalise(samples: Samples) -> Samples:
    """A chunk for the engine, cut tops put back: at the target loudness if it is quieter, else as recorded.

    One gain for all of it, which lifts no peak over full scale: a limiter would bend the words that are loud
    already. What is beyond full scale is taken down. Whisper hears louder speech as well as it was recorded.
    """
    samples = declip(np.pad(samples, (0, -len(samples) % HOP)).reshape(-1, HOP)).reshape(-1)[: len(samples)]
    loudness, peak = measure(samples), float(np.abs(samples).max(initial=0.0))
    if loudness is None:
        return samples
    return samples * np.float32(min(_amplitude(max(_gain_db(loudness), 0.0)), 1.0 / peak))


def limit(samples: Samples) -> Samples:
    """Bends what is above 0.8 smoothly below 1.0. Without memory: nothing else is changed by a peak."""
    magnitude = np.abs(samples)
    over = magnitude > _KNEE
    if not over.any():
        return samples
    limited = samples.copy()
    bent = _KNEE + (1 - _KNEE) * np.tanh((magnitude[over] - _KNEE) / (1 - _KNEE))
    limited[over] = np.copysign(bent, samples[over])
    return limited


class RunningGain:
    """The stream at about the target loudness, by what there was of it so far.

    The gain is 0 dB until something audible came. Each hop is scaled by a gain that counts this hop
    in, so the output is up to 100 ms behind the input; `flush` gives the rest.
    """

    def __init__(self) -> None:
        self._weights = k_weights()
        self._pending: Samples = np.zeros(0, dtype=np.float32)
        self._recent: deque[float] = deque(maxlen=_BLOCK_HOPS)
        self._blocks: deque[float] = deque(maxlen=_MEMORY_BLOCKS)
        self._gain_db: float | None = None
        self._amplitude = 1.0

    def feed(self, samples: Samples) -> Samples:
        """Takes shape (n,); gives the whole hops that are complete."""
        joined = np.concatenate((self._pending, samples))
        whole = len(joined) // HOP * HOP
        self._pending = joined[whole:].copy()
        return self._scale(joined[:whole].reshape(-1, HOP)).reshape(-1)

    def flush(self) -> Samples:
        """Gives the last, incomplete hop."""
        rest, self._pending = self._pending, self._pending[:0]
        return self._scale(np.pad(rest, (0, -len(rest) % HOP)).reshape(-1, HOP)).reshape(-1)[: len(rest)]

    def _scale(self, hops: Samples) -> Samples:
        scaled = np.empty_like(hops)
        for i, energy in enumerate(hop_energies(hops, self._weights)):
            before = self._amplitude
            self._amplitude = _amplitude(self._next_gain_db(float(energy)))
            ramp = np.linspace(before, self._amplitude, HOP, endpoint=False, dtype=np.float32)
            scaled[i] = limit(hops[i] * ramp)
        return scaled

    def _next_gain_db(self, energy: float) -> float:
        self._recent.append(energy)
        block = sum(self._recent) / len(self._recent)
        if block >= _energy(_ABSOLUTE_GATE_LUFS):
            self._blocks.append(block)
            wanted = _gain_db(_relatively_gated(np.array(self._blocks)))
            if self._gain_db is not None:
                wanted = min(wanted, self._gain_db + _RISE_DB_PER_HOP)
            self._gain_db = wanted
        return self._gain_db or 0.0


def _gain_db(loudness: float) -> float:
    return min(TARGET_LUFS - loudness, MAX_GAIN_DB)


def _amplitude(gain_db: float) -> float:
    return float(10.0 ** (gain_db / 20.0))


def _lufs(energy: float) -> float:
    return _OFFSET_LUFS + 10.0 * float(np.log10(energy))


def _energy(lufs: float) -> float:
    return float(10.0 ** ((lufs - _OFFSET_LUFS) / 10.0))
