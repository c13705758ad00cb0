"""A chunk is of one channel; chunks come in one order, however the recording is sliced."""

from collections.abc import Iterator

import numpy as np
import pytest

from gateway.audio.channels import ChannelCutter
from gateway.audio.chunker import Chunker
from gateway.audio.silero import FRAME
from gateway.audio.types import SAMPLE_RATE, Chunk, Samples
from gateway.audio.vad import VadOptions
from tests.audio.sound import ScriptedFrontEnd, cuts

SECOND = SAMPLE_RATE // FRAME


def _script(*turns: tuple[int, int]) -> list[float]:
    """Speech from one second to another."""
    probabilities = np.zeros(60 * SECOND)
    for begin, end in turns:
        probabilities[begin * SECOND : end * SECOND] = 1
    return probabilities.tolist()


SCRIPTS = (_script((1, 6), (12, 15)), _script((7, 11), (30, 33)))


def _cut(samples: Samples, size: int) -> list[Chunk]:
    fronts: Iterator[list[float]] = iter(SCRIPTS)
    cutter = ChannelCutter(lambda: Chunker(ScriptedFrontEnd(next(fronts)), VadOptions(), max_pause=3))
    chunks = [chunk for piece in cuts(samples, size) for chunk in cutter.feed(piece)]
    return chunks + cutter.flush()


@pytest.fixture(scope="module")
def sound() -> Samples:
    """Noise of two lines, for the scripts say where speech is."""
    return (np.random.default_rng(0).standard_normal((40 * SAMPLE_RATE, 2)) * 0.1).astype(np.float32)


@pytest.mark.parametrize("size", [FRAME, SAMPLE_RATE, 5 * SAMPLE_RATE, 40 * SAMPLE_RATE])
def test_any_slices(sound: Samples, size: int) -> None:
    """The same chunks of the same channels, with the same word on how far all are."""
    chunks = _cut(sound, size)
    told = [(chunk.channel, round(chunk.start / SAMPLE_RATE), chunk.settled) for chunk in chunks]

    assert [each[:2] for each in told] == [(0, 1), (1, 7), (0, 12), (1, 29)]
    assert told == [
        (chunk.channel, round(chunk.start / SAMPLE_RATE), chunk.settled) for chunk in _cut(sound, 12_345)
    ]


def test_what_is_settled(sound: Samples) -> None:
    """After a chunk nothing comes that begins before what it says is settled."""
    chunks = _cut(sound, SAMPLE_RATE)

    for at, chunk in enumerate(chunks):
        assert all(later.start >= chunk.settled for later in chunks[at + 1 :])
    assert chunks[0].settled > chunks[0].start


def test_it_waits_for_nobody() -> None:
    """It shows no chunk before all channels are cut, and no engine leads it; no samples are no chunks."""
    cutter = ChannelCutter(lambda: Chunker(ScriptedFrontEnd([]), VadOptions()))

    assert cutter.flush() == []
    shown: object = cutter.peek()  # type: ignore[func-returns-value]  # as the protocol has it
    assert shown is None
    assert not cutter.waiting
    with pytest.raises(RuntimeError):
        cutter.advance(1.0)
