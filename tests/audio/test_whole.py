"""A recording that was cut already stays as it is."""

import numpy as np
import pytest

from gateway.audio.chunking import ChunkingOptions, make_cutter
from gateway.audio.silero import SileroModel
from gateway.audio.types import MAX_CHUNK_SAMPLES
from gateway.audio.whole import Whole


@pytest.mark.parametrize("size", [1, 999, 100_000])
def test_one_chunk(size: int) -> None:
    """However it is sliced, to the last bit."""
    samples = np.random.default_rng(1).normal(0, 0.001, 50_000).astype(np.float32)
    cutter = make_cutter(SileroModel.load(), ChunkingOptions(windows="whole"))
    fed = [cutter.feed(samples[at : at + size]) for at in range(0, len(samples), size)]
    [chunk] = cutter.flush()

    assert not any(fed)
    assert not cutter.waiting
    assert np.array_equal(chunk.samples, samples)
    assert (chunk.start, chunk.ends_utterance, chunk.breaks) == (0, True, ())


def test_no_more_than_an_engine_takes() -> None:
    """A decoder may give a few samples more than the container says."""
    cutter = Whole()
    cutter.feed(np.zeros(MAX_CHUNK_SAMPLES + 5, np.float32))
    first, second = cutter.flush()

    assert (len(first.samples), first.ends_utterance) == (MAX_CHUNK_SAMPLES, False)
    assert (second.start, len(second.samples), second.ends_utterance) == (MAX_CHUNK_SAMPLES, 5, True)
    assert Whole().flush() == []
