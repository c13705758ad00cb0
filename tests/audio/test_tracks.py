"""Of several sound tracks the default one is heard, unless it is silent beside one that is not."""

import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from gateway.audio.decode import decode
from gateway.audio.tracks import LOOK_AHEAD, SKEW, TrackChoice
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.errors import InvalidRequestError
from tests.audio.sound import Encoding, Growing, add_audio, packets
from tests.audio.test_decode import likeness

PIECE = SAMPLE_RATE // 10
LOUD = 0.1


def seconds(*parts: tuple[float, float]) -> Samples:
    """A constant level for each of (seconds, level)."""
    return np.concatenate(
        [np.full(round(length * SAMPLE_RATE), level, np.float32) for length, level in parts]
    )


def chosen(
    order: list[int], tracks: dict[int, Samples], size: int = PIECE
) -> tuple[int | None, Samples, int]:
    """What comes out of interleaved tracks, and the most samples by which the choice held it back."""
    choice = TrackChoice(order)
    out: list[Samples] = []
    behind = 0
    for at in range(0, max(map(len, tracks.values())), size):
        for track, samples in tracks.items():
            if len(piece := samples[at : at + size]):
                out += choice.feed(track, piece)
        if choice.chosen is None:
            behind = max(behind, at + size - sum(map(len, out)))
    out += choice.flush()
    return choice.chosen, np.concatenate([np.zeros(0, np.float32), *out]), behind


@pytest.mark.parametrize("size", [PIECE, 333, 5 * SAMPLE_RATE])
@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (seconds((5, LOUD)), seconds((5, LOUD)), 0),
        (seconds((5, 0)), seconds((5, LOUD)), 1),
        (seconds((5, 0)), seconds((5, 0)), 0),
        (seconds((20, 0), (5, LOUD)), seconds((25, LOUD)), 0),
        (seconds((50, 0), (5, LOUD)), seconds((55, LOUD)), 1),
        (seconds((100, 0), (5, LOUD)), seconds((101, 0), (4, LOUD)), 0),
        (seconds((200, 0)), seconds((100, 0), (100, LOUD)), 1),
        (seconds((5, 1e-4)), seconds((5, LOUD)), 1),
        (seconds((0, 0)), seconds((5, 0)), 1),
        (seconds((0, 0)), seconds((100, 0), (5, LOUD)), 1),
        (seconds((100, 0)), seconds((3, LOUD)), 1),
    ],
)
def test_the_choice(first: Samples, second: Samples, expected: int, size: int) -> None:
    """The whole of the track comes out, each sample in its place, with a bounded delay."""
    track, out, behind = chosen([0, 1], {0: first, 1: second}, size)

    assert track == expected
    assert np.array_equal(out, (first, second)[expected])
    assert behind <= LOOK_AHEAD + SKEW + 2 * size


def test_the_order_counts() -> None:
    """Among those with sound it is the first in the order that was given."""
    tracks = {0: seconds((5, LOUD)), 1: seconds((5, 0)), 2: seconds((5, LOUD))}

    assert [chosen(order, tracks)[0] for order in ([2, 0, 1], [1, 2, 0], [0, 1, 2])] == [2, 2, 0]


def test_a_single_track_never_waits() -> None:
    """Its silence goes out at once."""
    assert chosen([3], {3: seconds((5, 0))})[2] == 0


def film(tracks: list[Samples], *, default: int | None = None, container: str = "matroska") -> bytes:
    """Tracks of FLAC, or AAC in an mp4 that may be read as it comes, interleaved."""
    file = io.BytesIO()
    fragments = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "500000"}
    codec, options = ("flac", {}) if container == "matroska" else ("aac", fragments)
    with av.open(file, "w", format=container, options=options) as output:
        streams = [add_audio(output, Encoding(container, codec)) for _ in tracks]
        for at, stream in enumerate(streams):
            stream.disposition = Disposition.default if at == default else Disposition(0)
        parts: Iterator[av.Packet[Any]] = (
            packet
            for samples, stream in zip(tracks, streams, strict=True)
            for packet in packets(samples, stream)
        )
        output.mux(sorted(parts, key=lambda packet: Fraction(packet.dts or 0) * (packet.time_base or 0)))
    return file.getvalue()


def heard(file: bytes, source: type[io.BytesIO] = Growing, track: int | None = None) -> Samples:
    """All of it."""
    return np.concatenate(list(decode(source(file), max_seconds=100, track=track)))


@pytest.mark.parametrize("source", [io.BytesIO, Growing])
@pytest.mark.parametrize("container", ["matroska", "mp4"])
def test_a_silent_first_track(container: str, source: type[io.BytesIO], hello: Samples) -> None:
    """The second one speaks, also while the film arrives."""
    silence = np.zeros_like(hello)

    assert likeness(hello, heard(film([silence, hello], container=container), source)) > 0.95
    assert likeness(hello, heard(film([silence, hello], default=0, container=container), source)) > 0.95


def test_the_default_flag(hello: Samples) -> None:
    """It counts more than the order."""
    other = np.random.default_rng(0).normal(0, 0.05, len(hello)).astype(np.float32)

    assert likeness(hello, heard(film([other, hello], default=1))) > 0.95
    assert likeness(other, heard(film([other, hello], default=0))) > 0.95
    assert likeness(other, heard(film([other, hello]))) > 0.95


@pytest.mark.parametrize("source", [io.BytesIO, Growing])
def test_a_track_by_its_number(source: type[io.BytesIO], hello: Samples) -> None:
    """It is heard whatever the flags say, and if it is silent."""
    other = np.random.default_rng(0).normal(0, 0.05, len(hello)).astype(np.float32)
    file = film([other, hello, np.zeros_like(hello)], default=0)

    assert likeness(other, heard(file, source, 1)) > 0.95
    assert likeness(hello, heard(file, source, 2)) > 0.95
    assert not heard(file, source, 3).any()
    with pytest.raises(InvalidRequestError, match="no sound track 4: the file has 3") as caught:
        heard(file, source, 4)
    assert (caught.value.status, caught.value.param) == (400, "track")


def test_many_tracks(hello: Samples) -> None:
    """More than are looked at: each can still be named."""
    file = film([np.zeros_like(hello)] * 11 + [hello])

    assert likeness(hello, heard(file, track=12)) > 0.95
    assert not heard(file).any()
