"""Steady noise goes, speech stays where and as it is, however the stream is cut."""

import re
from collections.abc import Callable, Sequence
from itertools import cycle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audio.denoise import DEPTHS_DB, FRAME, HOP, Denoiser, Kind
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.engine.api import DecodeOptions, DecodeRequest, RowFailed
from gateway.engine.whisper.engine import WhisperSpec
from gateway.transcript import Hypothesis
from tests.audio.sound import at_level, load
from tests.support import Sample

KINDS: list[Kind] = ["near_field", "far_field"]


def white(seconds: float) -> Samples:
    """Noise, the same each time."""
    return np.random.default_rng(7).standard_normal(round(seconds * SAMPLE_RATE)).astype(np.float32)


def pink(seconds: float) -> Samples:
    """The same with 3 dB less per octave from 50 Hz on, as rooms and streets sound."""
    spectrum = np.fft.rfft(white(seconds))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)) / seconds, 50.0))
    return np.fft.irfft(spectrum, round(seconds * SAMPLE_RATE)).astype(np.float32)


def dbfs(samples: Samples) -> float:
    """Root mean square."""
    return float(10 * np.log10(np.mean(samples.astype(np.float64) ** 2)))


def denoised(samples: Samples, kind: Kind, strength: float, sizes: Sequence[int] = (1_600,)) -> Samples:
    """All of it, in appends of these sizes in turn."""
    denoiser = Denoiser(kind, strength)
    pieces = []
    at = 0
    for size in cycle(sizes):
        pieces.append(denoiser.feed(samples[at : at + size]))
        at += size
        if at >= len(samples):
            return np.concatenate([*pieces, denoiser.flush()])
    raise ValueError("sizes is empty")


def spoken(sample: Sample, length: int) -> np.ndarray:
    """Where somebody speaks: shape (length,), True or False."""
    mask = np.zeros(length, dtype=bool)
    for utterance in sample.utterances:
        mask[round(utterance["start"] * SAMPLE_RATE) : round(utterance["end"] * SAMPLE_RATE)] = True
    return mask


def paused(sample: Sample, length: int) -> np.ndarray:
    """Where nobody does: a tenth of a second away from speech, and 3 s after the start."""
    margin = np.ones(SAMPLE_RATE // 5)
    mask: np.ndarray = np.convolve(spoken(sample, length), margin, mode="same") == 0
    mask[: 3 * SAMPLE_RATE] = False
    return mask


@pytest.fixture(scope="module")
def talk(long: Samples) -> Samples:
    """The first 25 s of the long recording."""
    return long[: 25 * SAMPLE_RATE]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("noise", "snr", "gain", "lost"),
    [(white, 20.0, 1.0, 0.3), (pink, 20.0, 0.1, 0.3), (white, 10.0, 0.1, 1.5), (pink, 10.0, 1.0, 1.5)],
)
def test_noise_drops_in_pauses_and_speech_stays(
    samples: dict[str, Sample],
    talk: Samples,
    kind: Kind,
    noise: Callable[[float], Samples],
    snr: float,
    gain: float,
    lost: float,
) -> None:
    """By nearly all that is allowed, at every level and colour; what speech loses is mostly its noise."""
    speech, pauses = (mask(samples["en_long"], len(talk)) for mask in (spoken, paused))
    added = at_level(noise(len(talk) / SAMPLE_RATE), dbfs(talk[speech]) - snr)
    noisy = np.float32(gain) * (talk + added)

    clean = denoised(noisy, kind, 1.0)

    assert dbfs(noisy[pauses]) - dbfs(clean[pauses]) == pytest.approx(DEPTHS_DB[kind], abs=0.5)
    assert dbfs(noisy[speech]) - dbfs(clean[speech]) < lost


@pytest.mark.parametrize("kind", KINDS)
def test_clean_speech_stays(samples: dict[str, Sample], talk: Samples, kind: Kind) -> None:
    """What has no noise loses a tenth of a decibel at most, its first words included."""
    speech = spoken(samples["en_long"], len(talk))
    first = samples["en_long"].utterances[0]
    start, end = (round(first[key] * SAMPLE_RATE) for key in ("start", "end"))

    clean = denoised(talk, kind, 1.0)

    assert dbfs(talk[speech]) - dbfs(clean[speech]) < 0.1
    assert dbfs(talk[start:end]) - dbfs(clean[start:end]) < 0.1


@pytest.mark.slow
def test_words_stay(samples: dict[str, Sample], mini_whisper: WhisperSpec) -> None:
    """Clean recordings keep all their words, with each kind."""
    recordings = [samples[name] for name in ("en_hello", "en_command_44k_stereo", "en_numbers")]
    rows = [
        DecodeRequest(denoised(load(sample.path), kind, 1.0), DecodeOptions(language="en", beam_size=1))
        for kind in KINDS
        for sample in recordings
    ]

    heard = [words(hypothesis) for hypothesis in mini_whisper.load().transcribe(rows)]

    assert heard == [words(sample.text) for sample in recordings] * len(KINDS)


def words(said: Hypothesis | RowFailed | str) -> list[str]:
    """Lower-case, without punctuation."""
    if isinstance(said, RowFailed):
        raise AssertionError(said.reason)  # noqa: TRY004  a failed row is a failed test
    text = said if isinstance(said, str) else "".join(segment.text for segment in said.segments)
    return re.findall(r"\w+", text.lower())


@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0])
def test_strength_is_a_share_of_the_decibels(strength: float) -> None:
    """From nothing to all, in steady noise once the floor has found it."""
    noise = at_level(white(6.0), -40)

    clean = denoised(noise, "far_field", strength)

    drop = dbfs(noise[3 * SAMPLE_RATE :]) - dbfs(clean[3 * SAMPLE_RATE :])
    assert drop == pytest.approx(strength * DEPTHS_DB["far_field"], abs=0.7)


@pytest.mark.parametrize("kind", KINDS)
def test_strength_0_changes_nothing(hello: Samples, kind: Kind) -> None:
    """Not more than the rounding of a sample."""
    np.testing.assert_allclose(denoised(hello, kind, 0.0), hello, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_positions_are_true(kind: Kind) -> None:
    """A click comes out where it went in."""
    click = np.zeros(SAMPLE_RATE, dtype=np.float32)
    click[7_001] = 0.9

    assert int(np.abs(denoised(click, kind, 1.0)).argmax()) == 7_001


@pytest.mark.parametrize("length", [0, 1, HOP - 1, HOP, HOP + 1, 2 * HOP, 2 * HOP + 1, 10_007])
def test_as_many_samples_come_out(length: int) -> None:
    """As went in, the shortest stream included."""
    assert len(denoised(white(1.0)[:length], "far_field", 1.0)) == length


@settings(max_examples=30, deadline=None)
@given(kind=st.sampled_from(KINDS), sizes=st.lists(st.integers(1, 3_000), min_size=1, max_size=5))
def test_cuts_do_not_matter(kind: Kind, sizes: list[int]) -> None:
    """Every bit is the same, whatever came together."""
    noise = at_level(pink(0.5), -30)

    assert np.array_equal(denoised(noise, kind, 1.0, sizes), denoised(noise, kind, 1.0, [len(noise)]))


def test_sample_by_sample() -> None:
    """The smallest cuts of all, and never further behind than is said."""
    noise = at_level(white(0.3), -30)
    denoiser = Denoiser("far_field", 1.0)
    pieces = []
    given_out = 0
    for i in range(len(noise)):
        pieces.append(denoiser.feed(noise[i : i + 1]))
        given_out += len(pieces[-1])

        assert i + 1 - FRAME < given_out <= i + 1

    assert np.array_equal(
        np.concatenate([*pieces, denoiser.flush()]), denoised(noise, "far_field", 1.0, [len(noise)])
    )


def test_new_noise_is_followed() -> None:
    """A fan that starts after digital silence, where the floor is lowest, is gone after 3 s."""
    silence = np.zeros(2 * SAMPLE_RATE, dtype=np.float32)
    fan = at_level(white(6.0), -25)

    clean = denoised(np.concatenate((silence, fan)), "far_field", 1.0)

    assert dbfs(clean[5 * SAMPLE_RATE :]) < -25 - DEPTHS_DB["far_field"] + 1


@pytest.mark.parametrize("kind", KINDS)
def test_silence_stays_silence(kind: Kind) -> None:
    """Zeros divide nothing by zero."""
    assert not denoised(np.zeros(SAMPLE_RATE, dtype=np.float32), kind, 1.0).any()


def test_a_new_stream_may_begin_after_flush(hello: Samples) -> None:
    """At its first sample, and with what is known of the noise: who commits each second is helped, too."""
    denoiser = Denoiser("far_field", 1.0)
    noise = white(8.0)
    pieces = [
        np.concatenate([denoiser.feed(second), denoiser.flush()]) for second in noise.reshape(-1, SAMPLE_RATE)
    ]
    again = np.concatenate([denoiser.feed(hello), denoiser.flush()])

    assert [len(piece) for piece in pieces] == [SAMPLE_RATE] * 8
    assert dbfs(pieces[-1]) < dbfs(noise) - 10
    assert len(again) == len(hello)


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_strength_outside_is_refused(strength: float) -> None:
    """It is a share."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        Denoiser("near_field", strength)
