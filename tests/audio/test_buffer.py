"""`SampleBuffer` gives back what was appended and holds only what is needed; `DipFinder` finds the cut."""

import numpy as np
import pytest

from gateway.audio.buffer import DipFinder, SampleBuffer
from gateway.audio.silero import FRAME
from gateway.audio.types import SAMPLE_RATE, Samples

FRAMES = 200


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


def noise() -> Samples:
    """As many frames of noise, always the same."""
    return np.random.default_rng(3).standard_normal(FRAMES * FRAME).astype(np.float32) * np.float32(0.1)


def find(probabilities: list[float], samples: Samples, start: int, end: int, *, frames: int = FRAMES) -> int:
    """What a finder of so many frames finds, having heard all of them."""
    finder, buffer = DipFinder(frames), SampleBuffer()
    buffer.append(samples)
    for probability in probabilities:
        finder.append(probability)
    return finder.find(buffer, start, end)


@pytest.mark.parametrize("at", [60, 100, 139])
def test_the_dip_is_found(at: int) -> None:
    """Five frames less like speech: the cut lies in the middle of the third of them."""
    probabilities = [1.0] * FRAMES
    probabilities[at - 2 : at + 3] = [0.3] * 5

    assert find(probabilities, noise(), 50 * FRAME, 150 * FRAME) == at * FRAME + FRAME // 2


def test_dips_outside_are_not_taken() -> None:
    """A deeper one before or behind the stretch is no place for the cut."""
    probabilities = [1.0] * FRAMES
    probabilities[20:30] = probabilities[170:180] = [0.0] * 10
    probabilities[98:103] = [0.8] * 5

    assert find(probabilities, noise(), 50 * FRAME, 150 * FRAME) == 100 * FRAME + FRAME // 2


def test_energy_decides_between_equals() -> None:
    """Where the model sees no difference, the quietest syllable is cut; a click-long hush is none."""
    samples = noise()
    samples[118 * FRAME : 123 * FRAME] *= 0.1
    samples[70 * FRAME : 71 * FRAME] = 0.0

    assert find([1.0] * FRAMES, samples, 50 * FRAME, 150 * FRAME) == 120 * FRAME + FRAME // 2


@pytest.mark.parametrize("offset", [0, 1, 100, 255, 256, 257, 511])
def test_the_cut_lies_within(offset: int) -> None:
    """However the stretch lies in the grid of frames, even where its very ends are the deepest."""
    start, end = 50 * FRAME + offset, 60 * FRAME + offset
    for deepest in range(48, 63):
        probabilities = [1.0] * FRAMES
        probabilities[deepest] = 0.0

        assert start <= find(probabilities, noise(), start, end) <= end


def test_a_short_memory_is_enough() -> None:
    """What is remembered need only reach back to the stretch."""
    probabilities = list(np.random.default_rng(1).random(FRAMES))

    assert find(probabilities, noise(), 150 * FRAME, FRAMES * FRAME, frames=50) == find(
        probabilities, noise(), 150 * FRAME, FRAMES * FRAME
    )
