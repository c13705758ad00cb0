"""Bare samples become the same audio as in a file, however they arrive, and as soon as they arrive."""

import io
from itertools import cycle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audio.decode import STEPS_PER_SECOND, decode, decode_pcm16
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.errors import InvalidAudioError, InvalidRequestError, UploadTimeoutError
from tests.audio.sound import Growing, int16, wav

RATES = [8_000, 11_025, 16_000, 24_000, 44_100, 48_000]


class Trickle(Growing):
    """A source whose reads give these sizes in turn, or less where less was asked for; counts the reads."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        super().__init__(data)
        self._sizes = cycle(sizes)
        self.reads = 0

    def read(self, size: int | None = -1) -> bytes:
        """At most ``size``."""
        self.reads += 1
        return super().read(min(size or 0, next(self._sizes)))


def pcm(seconds: float, rate: int) -> bytes:
    """A rising tone."""
    at = np.arange(round(seconds * rate)) / rate
    return int16(np.float32(0.5) * np.sin(2 * np.pi * (200 + 100 * at) * at).astype(np.float32)).tobytes()


def decode_all(source: Growing, rate: int, max_seconds: float = 100.0) -> Samples:
    """All blocks, joined."""
    return np.concatenate(list(decode_pcm16(source, rate=rate, max_seconds=max_seconds)))


@pytest.mark.parametrize("rate", RATES)
def test_the_samples_are_those_of_a_file(rate: int) -> None:
    """A WAV file of the same samples decodes to exactly the same audio, at every rate."""
    data = pcm(7.0, rate)
    file = io.BytesIO(wav(np.frombuffer(data, "<i2"), rate))

    decoded = decode_all(Growing(data), rate)

    assert decoded.dtype == np.float32
    assert np.array_equal(decoded, np.concatenate(list(decode(file, max_seconds=10))))


@settings(max_examples=30, deadline=None)
@given(rate=st.sampled_from(RATES), sizes=st.lists(st.integers(1, 20_000), min_size=1, max_size=5))
def test_slices_do_not_matter(rate: int, sizes: list[int]) -> None:
    """A frame may end within a sample, and reads may be of any size."""
    data = pcm(1.3, rate)

    assert np.array_equal(decode_all(Trickle(data, sizes), rate), decode_all(Growing(data), rate))


def test_byte_by_byte() -> None:
    """The smallest slices of all."""
    data = pcm(0.3, 16_000)

    assert np.array_equal(decode_all(Trickle(data, [1]), 16_000), decode_all(Growing(data), 16_000))


@pytest.mark.parametrize("rate", RATES)
def test_a_live_source_is_passed_on_at_once(rate: int) -> None:
    """Each quarter of a second comes out before more is read."""
    frame = rate // 50 * 2
    source = Trickle(pcm(10.0, rate), [frame])
    blocks = decode_pcm16(source, rate=rate, max_seconds=100)
    total = 0
    for step in range(1, 20):
        total += len(next(blocks))

        assert source.reads <= step * (50 // STEPS_PER_SECOND + 1)
        # The resampler's filter holds back a few milliseconds.
        assert total / SAMPLE_RATE == pytest.approx(source.reads / 50, abs=0.02)


def test_a_file_comes_in_large_blocks() -> None:
    """What is there already costs few steps."""
    blocks = list(decode_pcm16(Growing(pcm(20.0, 16_000)), rate=16_000, max_seconds=100))

    assert max(len(block) for block in blocks) == 5 * SAMPLE_RATE
    assert len(blocks) <= 5


def test_half_a_sample_at_the_end_is_dropped() -> None:
    """A connection may end anywhere."""
    data = pcm(0.5, 16_000)

    assert np.array_equal(decode_all(Growing(data + b"\x7f"), 16_000), decode_all(Growing(data), 16_000))


@pytest.mark.parametrize(
    ("seconds", "code"), [(0.0, "audio_too_short"), (0.09, "audio_too_short"), (5.1, "audio_too_long")]
)
def test_lengths_are_limited(seconds: float, code: str) -> None:
    """As a file's are."""
    with pytest.raises(InvalidAudioError) as caught:
        decode_all(Growing(pcm(seconds, 8_000)), 8_000, max_seconds=5)

    assert caught.value.code == code


@pytest.mark.parametrize("seconds", [0.1, 5.0])
def test_limits_are_accepted(seconds: float) -> None:
    """The shortest and the longest there may be."""
    assert len(decode_all(Growing(pcm(seconds, 8_000)), 8_000, max_seconds=5)) == seconds * SAMPLE_RATE


def test_errors_of_the_source_pass_through() -> None:
    """An upload that stops says so itself, behind what came before."""

    class Broken(Growing):
        def read(self, size: int | None = -1) -> bytes:
            if data := super().read(size):
                return data
            raise UploadTimeoutError("stopped")

    blocks = decode_pcm16(Broken(pcm(1.0, 16_000)), rate=16_000, max_seconds=5)

    assert len(next(blocks)) == SAMPLE_RATE
    with pytest.raises(UploadTimeoutError):
        next(blocks)


def test_there_is_one_track() -> None:
    """The first may be named, a second is refused."""
    assert len(list(decode_pcm16(Growing(pcm(0.2, 16_000)), rate=16_000, max_seconds=5, track=1))) == 1
    with pytest.raises(InvalidRequestError) as caught:
        list(decode_pcm16(Growing(pcm(0.2, 16_000)), rate=16_000, max_seconds=5, track=2))

    assert caught.value.param == "track"
