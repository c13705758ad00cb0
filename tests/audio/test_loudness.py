"""The meter agrees with FFmpeg's, and the gains are steady, capped and independent of slicing."""

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame

from gateway.audio.loudness import HOP, MAX_GAIN_DB, TARGET_LUFS, RunningGain, limit, measure, normalise
from gateway.audio.types import SAMPLE_RATE, Samples
from tests.audio.sound import at_level, cuts, load
from tests.support import Sample


def ebur128(samples: Samples) -> float:
    """Integrated loudness by FFmpeg's filter."""
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=SAMPLE_RATE, format="flt", layout="mono")
    meter, sink = graph.add("ebur128", "metadata=1"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    frame = AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    graph.push(frame)
    graph.push(None)
    loudness = float("nan")
    while True:
        try:
            # The last frame, shorter than 100 ms, has no value.
            loudness = float(graph.pull().metadata.get("lavfi.r128.I", loudness))
        except EOFError:
            return loudness


def running(samples: Samples, size: int | None = None) -> Samples:
    """The whole stream through a `RunningGain`."""
    gain = RunningGain()
    pieces = [gain.feed(piece) for piece in cuts(samples, size or len(samples))]
    return np.concatenate([*pieces, gain.flush()])


@pytest.mark.parametrize(
    "name", ["en_hello", "en_long", "en_dialogue", "en_noisy", "en_nato_8k", "es_hola", "silence_noise"]
)
def test_the_meter_agrees_with_ffmpeg_on_speech(name: str, samples: dict[str, Sample]) -> None:
    """Speech with pauses, noisy speech and noise alone measure within 0.2 LU."""
    recording = load(samples[name].path)

    assert measure(recording) == pytest.approx(ebur128(recording), abs=0.2)


@pytest.mark.parametrize("frequency", [50, 100, 440, 1_000, 3_000, 7_000])
def test_the_meter_agrees_with_ffmpeg_on_tones(frequency: int) -> None:
    """The weighting is right at all frequencies, the lowest included."""
    tone = (0.3 * np.sin(2 * np.pi * frequency * np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE)).astype(np.float32)

    assert measure(tone) == pytest.approx(ebur128(tone), abs=0.5)


def test_gating(hello: Samples) -> None:
    """Neither digital silence nor a pause 20 dB below the speech counts."""
    noise = np.random.default_rng(0).standard_normal(20 * SAMPLE_RATE).astype(np.float32)
    with_silence = np.concatenate((hello, np.zeros(20 * SAMPLE_RATE, dtype=np.float32)))
    with_noise = np.concatenate((hello, at_level(noise, -60)))

    assert measure(with_silence) == pytest.approx(measure(hello), abs=0.3)
    assert measure(with_noise) == pytest.approx(measure(hello), abs=0.5)


def test_nothing_and_silence_have_no_loudness() -> None:
    """There is no number for silence, and no gain."""
    silence = np.zeros(SAMPLE_RATE, dtype=np.float32)

    assert measure(silence[:0]) is None
    assert measure(silence) is None
    assert np.array_equal(normalise(silence), silence)


def test_pieces_shorter_than_a_block_are_measured() -> None:
    """150 ms of a tone are as loud as 5 s of it."""
    tone = (0.3 * np.sin(2 * np.pi * 1_000 * np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE)).astype(np.float32)

    assert measure(tone[:2_400]) == pytest.approx(measure(tone), abs=0.1)


def at_peak(samples: Samples, peak: float) -> Samples:
    """Scaled."""
    return samples * np.float32(peak / np.abs(samples).max())


@pytest.mark.parametrize("dbfs", [-50, -40, -30])
def test_a_quiet_chunk_is_lifted_by_one_gain(dbfs: float, hello: Samples) -> None:
    """It comes to the target, and all its samples by the same factor."""
    chunk = at_level(hello, dbfs)

    normalised = normalise(chunk)

    assert measure(normalised) == pytest.approx(TARGET_LUFS, abs=0.1)
    loud = np.abs(chunk) > 1e-4
    factors = normalised[loud] / chunk[loud]
    assert factors.min() == pytest.approx(factors.max(), rel=1e-4)


def test_a_loud_chunk_stays_as_recorded(hello: Samples) -> None:
    """Whisper hears it as well as at the target; only a peak beyond full scale takes it down."""
    loud = at_peak(hello, 1.0)

    assert (measure(loud) or 0.0) > TARGET_LUFS
    assert np.array_equal(normalise(loud), loud)
    assert normalise(at_peak(hello, 30_000)) == pytest.approx(loud, rel=1e-5)


def test_no_peak_is_lifted_over_full_scale(hello: Samples) -> None:
    """Not for the sake of a quiet voice: nothing is bent, so all keeps its shape."""
    chunk = at_peak(hello, 0.05)
    chunk[len(chunk) // 2] = 0.9

    assert (measure(chunk) or 0.0) < TARGET_LUFS - 6
    assert normalise(chunk) == pytest.approx(chunk / 0.9, abs=1e-6)


def test_the_chunk_is_the_same_at_any_low_level(hello: Samples) -> None:
    """What the engine sees of a recording at -50 dBFS is what it sees of it at -30 dBFS."""
    quiet, louder = normalise(at_level(hello, -50)), normalise(at_level(hello, -30))

    assert quiet == pytest.approx(louder, abs=1e-5)


def test_the_gain_of_a_chunk_is_capped(hello: Samples) -> None:
    """What is nearly silent stays quiet."""
    chunk = at_level(hello, -90)

    assert normalise(chunk) == pytest.approx(chunk * 10 ** (MAX_GAIN_DB / 20), rel=1e-4)


def test_the_limiter() -> None:
    """Up to 0.8 nothing changes; above, order and sign are kept and 1.0 is never passed."""
    ramp = np.linspace(-40, 40, 80_001, dtype=np.float32)

    limited = limit(ramp)

    inside = np.abs(ramp) <= 0.8
    assert np.array_equal(limited[inside], ramp[inside])
    assert np.abs(limited).max() <= 1.0
    assert (np.diff(limited) >= 0).all()
    assert np.diff(limited).max() < 0.0011


@pytest.mark.parametrize("size", [1_777, 16_000, 80_000])
def test_the_running_gain_does_not_depend_on_slicing(size: int, long: Samples) -> None:
    """Whole, in odd cuts or in blocks: the very same samples."""
    assert np.array_equal(running(long, size), running(long))


def test_the_running_gain_one_sample_at_a_time(hello: Samples) -> None:
    """The same again, sample by sample, with an incomplete hop at the end."""
    piece = hello[6_000 : 6_000 + 2 * HOP + 77]

    assert np.array_equal(running(piece, 1), running(piece))
    assert len(running(piece)) == len(piece)


@pytest.mark.parametrize("dbfs", [-45, -40, -26, -14])
def test_the_running_gain_reaches_the_target(dbfs: float, long: Samples) -> None:
    """From the first word on, quiet and loud recordings sound alike to the detector."""
    heard = running(at_level(long[: 15 * SAMPLE_RATE], dbfs))

    assert measure(heard) == pytest.approx(TARGET_LUFS, abs=1.5)
    assert np.abs(heard).max() <= 1.0


def test_the_running_gain_is_0_db_before_the_first_sound() -> None:
    """What is below the gate passes unchanged."""
    murmur = at_level(np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32), -105)

    assert np.array_equal(running(murmur), murmur)


def test_the_running_gain_is_capped() -> None:
    """There is a limit to what is lifted."""
    noise = at_level(np.random.default_rng(0).standard_normal(5 * SAMPLE_RATE).astype(np.float32), -90)

    assert np.abs(running(noise)).max() <= np.abs(noise).max() * 10 ** (MAX_GAIN_DB / 20) * 1.001


def test_no_pumping(long: Samples) -> None:
    """After the first words the gain stays within 3 dB, pauses of seven seconds included."""
    noise = at_level(np.random.default_rng(0).standard_normal(len(long)).astype(np.float32), -65)
    recording = at_level(long, -30) + noise

    heard = running(recording)

    settled = slice(3 * SAMPLE_RATE, None)
    clear = np.abs(recording[settled]) > 1e-4
    gains = 20 * np.log10(heard[settled][clear] / recording[settled][clear])
    assert gains.max() - gains.min() < 3.0


def test_a_slammed_door_is_forgotten(hello: Samples) -> None:
    """After a bang the gain rises again by at most 3 dB a second, and gets there."""
    speech = at_level(np.tile(hello, 30), -40)
    speech[:8_000] = np.random.default_rng(0).uniform(-1, 1, 8_000)

    heard = running(speech)

    gains = [
        20 * np.log10(np.abs(heard[i : i + len(hello)]).max() / np.abs(speech[i : i + len(hello)]).max())
        for i in range(len(hello), len(speech), len(hello))
    ]
    assert gains[0] < 0
    assert max(np.diff(gains)) <= 3.1 * len(hello) / SAMPLE_RATE
    assert measure(heard[-2 * len(hello) :]) == pytest.approx(TARGET_LUFS, abs=1.5)
