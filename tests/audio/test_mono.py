"""Of several channels no speech is lost: not where they oppose each other, nor where each has its own."""

from itertools import pairwise

import numpy as np
import pytest
from av.audio.frame import AudioFrame

from gateway.audio.mono import ToMono
from gateway.audio.types import SAMPLE_RATE, Samples
from tests.audio.sound import decode_all, int16, wav

POWER = 0.18
"""Of a channel's power, at least so much is left: 7 dB less are no loss once the level is evened out."""


def mixed(*channels: Samples) -> Samples:
    """The channels through a WAV file."""
    return decode_all(wav(int16(np.stack(channels, axis=1))))


def power(samples: Samples) -> float:
    """The mean square."""
    return float(np.mean(samples.astype(np.float64) ** 2))


def turned(samples: Samples, degrees: float) -> Samples:
    """The samples with the phase of each frequency turned."""
    spectrum = np.fft.rfft(samples) * np.exp(1j * np.radians(degrees))
    return np.fft.irfft(spectrum, len(samples)).astype(np.float32)


def likeness(a: Samples, b: Samples) -> float:
    """Correlation of two signals that lie on each other."""
    return float(abs(a @ b) / np.sqrt((a @ a) * (b @ b)))


@pytest.mark.parametrize("degrees", [0, 45, 90, 120, 135, 150, 180])
@pytest.mark.parametrize("level", [1.0, 0.7, 0.4, 0.1])
def test_any_phase(degrees: float, level: float, long: Samples) -> None:
    """However the second channel's phase and level are, the sum is never weak."""
    speech = 0.7 * long[: 20 * SAMPLE_RATE]

    out = mixed(speech, level * turned(speech, degrees))

    assert power(out) > POWER * power(speech)


@pytest.mark.parametrize("channels", [2, 3, 4, 6, 9])
@pytest.mark.parametrize("opposed", ["odd", "first", "last"])
def test_any_number_of_channels(channels: int, opposed: str, hello: Samples) -> None:
    """Whichever of them oppose the others, the speech is whole."""
    signs = np.ones(channels)
    signs[{"odd": slice(1, None, 2), "first": slice(0, 1), "last": slice(-1, None)}[opposed]] = -1

    out = mixed(*(np.float32(sign) * hello for sign in signs))

    assert likeness(out, hello) > 0.98
    assert power(out) > 0.05 * power(hello)


@pytest.mark.parametrize("silent", [1, 2, 4, 6])
def test_opposed_behind_silent_channels(silent: int, hello: Samples) -> None:
    """A recorder's unused inputs do not hide that those after them cancel."""
    out = mixed(*[np.zeros_like(hello)] * silent, hello, -hello)

    assert likeness(out, hello) > 0.98


@pytest.mark.parametrize("level", [1.0, 0.3])
def test_each_side_of_a_call(level: float, long: Samples) -> None:
    """A caller on the left and a callee on the right, by turns and together, are both there."""
    caller, callee = long[: 20 * SAMPLE_RATE].copy(), level * long[30 * SAMPLE_RATE : 50 * SAMPLE_RATE]
    caller[10 * SAMPLE_RATE :] = 0
    callee[: 5 * SAMPLE_RATE] = 0

    out = mixed(caller, callee)

    assert np.allclose(out, (caller + callee) / 2, atol=1e-3)


def test_opposed_for_a_while(long: Samples) -> None:
    """A cable that is turned on the way: each part is there, and no sample jumps."""
    speech = 0.7 * long[: 20 * SAMPLE_RATE]
    other = speech.copy()
    other[5 * SAMPLE_RATE : 12 * SAMPLE_RATE] *= -1

    out = mixed(speech, other)

    for start, stop in pairwise([0, 5, 12, 20]):
        part = slice(start * SAMPLE_RATE, stop * SAMPLE_RATE)
        assert power(out[part]) > POWER * power(speech[part])
    assert np.abs(np.diff(out)).max() < 2 * np.abs(np.diff(speech)).max()


def test_hum_in_common_decides_nothing(long: Samples) -> None:
    """Loud hum that both channels share does not hide that their speech is opposed."""
    speech = 0.4 * long[: 10 * SAMPLE_RATE]
    hum = (0.5 * np.sin(2 * np.pi * 50 * np.arange(len(speech)) / SAMPLE_RATE)).astype(np.float32)

    out = mixed(hum + speech, hum - speech)

    assert power(np.diff(out)) > POWER * power(np.diff(speech))


def test_what_is_common_survives_what_is_opposed(long: Samples) -> None:
    """Quiet speech in the middle of loud music whose channels are opposed is there."""
    speech = 0.2 * long[: 10 * SAMPLE_RATE]
    music = np.random.default_rng(3).normal(0, 0.2, len(speech)).astype(np.float32)

    out = mixed(speech + music, speech - music)

    part = float(out @ speech) / float(speech @ speech)
    assert part > 0.2


def test_surround_prefers_its_centre() -> None:
    """Of 5.1 the centre, where films have their dialogue, counts most, and the subwoofer nothing."""
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)).astype(np.float32)
    parts = []
    for at in range(6):
        frame = AudioFrame.from_ndarray(np.eye(6, dtype=np.float32)[at][:, None] * tone, "fltp", "5.1")
        frame.sample_rate = SAMPLE_RATE
        to_mono = ToMono()
        parts.append(power(np.concatenate([*to_mono.feed(frame), *to_mono.flush()])))

    left, right, centre, sub, *behind = parts
    assert left == pytest.approx(right)
    assert centre > left > max(behind) > sub == 0
