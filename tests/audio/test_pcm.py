"""Bare live samples become the same audio as a file's, bit for bit, however they are cut into appends."""

import struct
import sys
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audio.pcm import RATES, Encoding, PcmDecoder
from gateway.audio.types import SAMPLE_RATE, Samples
from tests.audio.sound import decode_all, int16, wav

WIRE = [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000]
STREAMS: list[tuple[Encoding, int]] = [*(("pcm16", rate) for rate in WIRE), ("ulaw", 8_000), ("alaw", 8_000)]
MAX_DELAY = 64
"""The output is at most so many samples behind the input."""

WIDTHS: dict[Encoding, int] = {"pcm16": 2, "ulaw": 1, "alaw": 1}


def sound(seconds: float, encoding: Encoding, rate: int) -> bytes:
    """A rising tone, or the bytes that rise and fall: G.711's values in their order and back."""
    at = np.arange(round(seconds * rate)) / rate
    if encoding == "pcm16":
        wave = np.sin(2 * np.pi * (200 + 100 * at) * at).astype(np.float32)
        return int16(np.float32(0.5) * wave).tobytes()
    return bytes(abs(i % 512 - 256) % 256 for i in range(len(at)))


def file_of(data: bytes, encoding: Encoding, rate: int) -> bytes:
    """The same samples in a file: WAV, or Sun's .au, whose encodings 1 and 27 are G.711's."""
    if encoding == "pcm16":
        return wav(np.frombuffer(data, "<i2"), rate)
    number = 1 if encoding == "ulaw" else 27
    return b".snd" + struct.pack(">5I", 24, len(data), number, rate, 1) + data


def decoded(data: bytes, encoding: Encoding, rate: int, sizes: list[int]) -> Samples:
    """All of it, in appends of these sizes in turn."""
    decoder = PcmDecoder(encoding, rate)
    pieces = []
    lengths = cycle(sizes)
    while data:
        size = next(lengths)
        pieces.append(decoder.feed(data[:size]))
        data = data[size:]
    return np.concatenate([*pieces, decoder.flush()])


@pytest.mark.parametrize(("encoding", "rate"), STREAMS)
def test_the_samples_are_those_of_a_file(encoding: Encoding, rate: int) -> None:
    """FFmpeg's own demuxer and decoder give exactly the same audio, of one append of several blocks."""
    data = sound(1.7, encoding, rate)

    samples = decoded(data, encoding, rate, [len(data)])

    assert samples.dtype == np.float32
    assert np.array_equal(samples, decode_all(file_of(data, encoding, rate)))


@settings(max_examples=40, deadline=None)
@given(stream=st.sampled_from(STREAMS), sizes=st.lists(st.integers(1, 10_000), min_size=1, max_size=5))
def test_appends_do_not_matter(stream: tuple[Encoding, int], sizes: list[int]) -> None:
    """They may be of any size and end within a sample."""
    data = sound(0.3, *stream)

    assert np.array_equal(decoded(data, *stream, sizes), decoded(data, *stream, [len(data)]))


@pytest.mark.parametrize(("encoding", "rate"), STREAMS)
def test_byte_by_byte(encoding: Encoding, rate: int) -> None:
    """The smallest appends of all."""
    data = sound(0.1, encoding, rate)

    assert np.array_equal(decoded(data, encoding, rate, [1]), decoded(data, encoding, rate, [len(data)]))


@pytest.mark.parametrize("rate", WIRE)
def test_length(rate: int) -> None:
    """From 4 ms on, as long as the input to less than a sample."""
    shortest = -(-rate * 4 // 1000)
    for samples in (*range(shortest, shortest + 10), rate + 1, 3 * rate + 7):
        length = len(decoded(bytes(2 * samples), "pcm16", rate, [2 * samples]))

        assert abs(length - samples * SAMPLE_RATE / rate) < 1


@pytest.mark.parametrize("rate", WIRE)
def test_it_keeps_up(rate: int) -> None:
    """No append leaves the output further behind than is said."""
    decoder = PcmDecoder("pcm16", rate)
    data = sound(1.0, "pcm16", rate)
    given = 0
    for at in range(0, len(data), 100):
        given += len(decoder.feed(data[at : at + 100]))
        taken = min(at + 100, len(data)) // 2 * SAMPLE_RATE / rate

        assert taken - MAX_DELAY - 1 < given < taken + 1


@pytest.mark.parametrize("rate", WIRE)
def test_positions_are_true(rate: int) -> None:
    """What sounds at half a second is heard at half a second: the filter's delay is no part of the output."""
    click = np.zeros(rate, "<i2")
    click[rate // 2] = 20_000

    samples = decoded(click.tobytes(), "pcm16", rate, [777])

    assert abs(int(np.abs(samples).argmax()) - SAMPLE_RATE // 2) <= 1


@pytest.mark.parametrize(
    ("encoding", "silence"), [("pcm16", b"\0\0"), ("ulaw", b"\xff"), ("ulaw", b"\x7f"), ("alaw", b"\xd5")]
)
def test_silence_stays_silence(encoding: Encoding, silence: bytes) -> None:
    """Nothing is added, no dither; A-law knows no zero, its least value is 8 of 32 768."""
    samples = decoded(silence * 8_000, encoding, 8_000, [333])

    assert len(samples) == SAMPLE_RATE
    assert np.abs(samples).max() <= (8.5 / 32_768 if encoding == "alaw" else 0)


@pytest.mark.parametrize(("encoding", "rate"), STREAMS)
def test_the_stream_may_go_on_after_flush(encoding: Encoding, rate: int) -> None:
    """Nothing of what was flushed is left but half a sample, or all that follows would be noise."""
    before, after = sound(0.3, encoding, rate), sound(0.5, encoding, rate)
    decoder = PcmDecoder(encoding, rate)
    cut = len(before) if WIDTHS[encoding] == 1 else len(before) + 1

    first = [decoder.feed((before + after)[:cut]), decoder.flush()]
    second = [decoder.feed((before + after)[cut:]), decoder.flush()]

    assert np.array_equal(np.concatenate(first), decoded(before, encoding, rate, [len(before)]))
    assert np.array_equal(np.concatenate(second), decoded(after, encoding, rate, [len(after)]))


def test_nothing_gives_nothing() -> None:
    """Empty appends, half a sample and flushes at any time."""
    decoder = PcmDecoder("pcm16", 24_000)

    parts = [decoder.flush(), decoder.feed(b""), decoder.feed(b"\1"), decoder.flush(), decoder.flush()]

    assert all(part.shape == (0,) and part.dtype == np.float32 for part in parts)


@pytest.mark.skipif(sys.platform != "linux", reason="counts the threads in /proc")
def test_no_threads() -> None:
    """Thousands of sessions may be open: a resampler brings none of its own."""
    threads = _threads()
    decoders = [PcmDecoder("pcm16", 24_000) for _ in range(20)]
    for decoder in decoders:
        decoder.feed(bytes(4_800))

    assert _threads() == threads


def _threads() -> int:
    """Of this process, FFmpeg's included."""
    return len(list(Path("/proc/self/task").iterdir()))


@pytest.mark.parametrize("rate", [0, -8_000, RATES[0] - 1, RATES[-1] + 1])
def test_rates_outside_are_refused(rate: int) -> None:
    """Below a telephone's or above a studio's is a mistake."""
    with pytest.raises(ValueError, match="between 8000 and 48000"):
        PcmDecoder("pcm16", rate)
