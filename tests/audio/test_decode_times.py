"""Samples stand where the container's clock has them, in every container that has one; and it may lie."""

import io
import tracemalloc
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
import pytest

from gateway.audio.decode import BLOCK, decode
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.errors import AudioTooLongError
from tests.audio.sound import Encoding, Growing, add_audio, packets, pictures

FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "500000"}
WITH_CLOCK = {
    "asf": Encoding("asf", "libmp3lame", 44_100),
    "flv": Encoding("flv", "libmp3lame", 44_100),
    "matroska": Encoding("matroska", "flac"),
    "mp4": Encoding("mp4", "libmp3lame", 44_100),
    "mp4_fragmented": Encoding("mp4", "libmp3lame", 44_100, options=FRAGMENTS),
    "mpegts": Encoding("mpegts", "mp2"),
    "nut": Encoding("nut", "mp2"),
    "webm": Encoding("webm", "libopus", 48_000),
}
VIDEO = {"webm": None, "asf": "mpeg4", "nut": "mpeg4", "flv": "flv", "mpegts": "mpeg2video"}
TOLERANCE = 0.08
"""Seconds: a frame of each of these codecs, and what their encoders put in front."""


def moved(
    samples: Samples, encoding: Encoding, move: Callable[[float], float], *, video: str | None = None
) -> bytes:
    """The samples as a file, with the time of each packet moved, in seconds."""
    file = io.BytesIO()
    with av.open(file, "w", format=encoding.container, options=encoding.options) as container:
        parts = list(packets(samples, add_audio(container, encoding)))
        time = Fraction(0)
        for packet in parts:
            base = packet.time_base or Fraction(1)
            packet.pts = packet.dts = round(move(float(time)) / base)
            time += (packet.duration or 0) * base
        if video is not None:
            parts += list(pictures(container, video, 1.0))
            parts.sort(key=lambda packet: Fraction(packet.dts or 0) * (packet.time_base or 0))
        container.mux(parts)
    return file.getvalue()


def heard(file: bytes, *, streamed: bool, max_seconds: float = 100.0) -> Samples:
    """All of it."""
    source: io.BytesIO = Growing(file) if streamed else io.BytesIO(file)
    return np.concatenate(list(decode(source, max_seconds=max_seconds)))


def bursts(samples: Samples) -> list[float]:
    """When sound begins after a second of silence or at the start, in seconds."""
    loud = np.flatnonzero(np.abs(samples) > 0.05) / SAMPLE_RATE
    return [float(at) for at, before in zip(loud, [-2.0, *loud[:-1]], strict=True) if at - before > 1]


@pytest.fixture(scope="module")
def noise() -> Samples:
    """Four seconds that are never silent."""
    return np.random.default_rng(0).normal(0, 0.2, 4 * SAMPLE_RATE).astype(np.float32)


def can_stream(name: str) -> bool:
    """Its index comes first."""
    return name != "mp4"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", WITH_CLOCK)
def test_a_recorder_that_paused(name: str, streamed: bool, noise: Samples) -> None:  # noqa: FBT001
    """What comes after a gap in the stamps is later by the gap."""
    if streamed and not can_stream(name):
        pytest.skip("its index is at the end")
    file = moved(noise, WITH_CLOCK[name], lambda time: time + 7 * (time > 1.5))

    samples = heard(file, streamed=streamed)

    assert len(samples) / SAMPLE_RATE == pytest.approx(11, abs=2 * TOLERANCE)
    assert bursts(samples) == pytest.approx([0, 8.5], abs=TOLERANCE)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", VIDEO)
def test_sound_that_begins_late(name: str, streamed: bool, noise: Samples) -> None:  # noqa: FBT001
    """Its time is counted from the picture's; alone it begins at nought."""
    video = VIDEO[name]
    late = heard(moved(noise, WITH_CLOCK[name], lambda time: time + 5, video=video), streamed=streamed)

    assert bursts(late) == pytest.approx([5 if video else 0], abs=TOLERANCE)


def test_an_edit_list(noise: Samples) -> None:
    """An mp4 says by an empty edit that its only track begins late."""
    samples = heard(moved(noise, WITH_CLOCK["mp4"], lambda time: time + 5), streamed=False)

    assert bursts(samples) == pytest.approx([5], abs=TOLERANCE)


@pytest.mark.parametrize("name", WITH_CLOCK)
def test_a_clock_that_begins_anywhere(name: str, noise: Samples) -> None:
    """A live stream that was joined after an hour begins at nought."""
    if name == "mp4":
        pytest.skip("its clock counts from its beginning")
    samples = heard(moved(noise, WITH_CLOCK[name], lambda time: time + 3_600), streamed=False)

    assert bursts(samples) == pytest.approx([0], abs=TOLERANCE)


@pytest.mark.parametrize("days", [1, 30])
def test_a_jump_of_days(days: int, noise: Samples) -> None:
    """Is a mistake of who wrote the stamps."""
    encoding = WITH_CLOCK["matroska"]
    file = moved(noise, encoding, lambda time: time + days * 86_400 * (time > 1.5))

    assert len(heard(file, streamed=True)) == len(noise)


def test_stamps_that_run_back(noise: Samples) -> None:
    """Nothing is lost where a clock begins anew on the way."""
    later = moved(noise, WITH_CLOCK["mpegts"], lambda time: time + 100)
    earlier = moved(noise, WITH_CLOCK["mpegts"], lambda time: time + 50)

    assert len(heard(later + earlier, streamed=True)) == pytest.approx(2 * len(noise), abs=4_096)


def test_hours_of_pause_are_never_held(noise: Samples) -> None:
    """Three hours of silence come block by block, and count."""
    file = moved(noise, WITH_CLOCK["matroska"], lambda time: time + 3 * 3_600 * (time > 2))

    tracemalloc.start()
    try:
        blocks = [len(block) for block in decode(Growing(file), max_seconds=4 * 3_600)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert sum(blocks) == pytest.approx(3 * 3_600 * SAMPLE_RATE + len(noise), abs=20)
    assert max(blocks) == BLOCK
    assert peak < 3_000_000
    with pytest.raises(AudioTooLongError):
        heard(file, streamed=True, max_seconds=3_600)
