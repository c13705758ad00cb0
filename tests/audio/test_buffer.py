"""`SampleBuffer` gives back what was appended, by position, and holds only what is needed."""

import numpy as np
import pytest

from gateway.audio.buffer import SampleBuffer
from gateway.audio.types import SAMPLE_RATE


@pytest.mark.parametrize("size", [1, 7, 1_000, 5_000])
def test_positions(size: int) -> None:
    """Whatever the pieces and however much was dropped, a position holds the sample appended there."""
    stream = np.arange(5_000, dtype=np.float32)
    buffer = SampleBuffer()

    for i in range(0, len(stream), size):
        buffer.append(stream[i : i + size])
        buffer.drop(buffer.end - 700)

    assert (buffer.start, buffer.end) == (4_300, 5_000)
    assert np.array_equal(buffer.read(4_400, 5_000), stream[4_400:])


def test_memory_follows_the_use() -> None:
    """An hour through a window of one second takes seconds of memory, not an hour's."""
    buffer = SampleBuffer()
    for _ in range(3_600):
        buffer.append(np.zeros(SAMPLE_RATE, dtype=np.float32))
        buffer.drop(buffer.end - SAMPLE_RATE)

    assert len(buffer._data) <= 4 * SAMPLE_RATE


def test_reads_are_copies() -> None:
    """A chunk stays what it was while the stream goes on."""
    buffer = SampleBuffer()
    buffer.append(np.ones(10, dtype=np.float32))
    chunk = buffer.read(0, 10)
    buffer.drop(10)
    buffer.append(np.zeros(SAMPLE_RATE, dtype=np.float32))

    assert chunk.sum() == 10


@pytest.mark.parametrize(("start", "end"), [(4, 8), (6, 11), (8, 7)])
def test_what_is_not_held_is_refused(start: int, end: int) -> None:
    """Dropped and future positions raise instead of giving other samples."""
    buffer = SampleBuffer()
    buffer.append(np.zeros(10, dtype=np.float32))
    buffer.drop(5)
    buffer.drop(3)

    with pytest.raises(IndexError):
        buffer.read(start, end)


def test_dropping_the_future_empties_it() -> None:
    """A drop beyond the end drops what is there."""
    buffer = SampleBuffer()
    buffer.append(np.zeros(10, dtype=np.float32))
    buffer.drop(99)

    assert (buffer.start, buffer.end) == (10, 10)
