"""The thirty encodings can be written with PyAV's own FFmpeg, and read again."""

import numpy as np
import pytest

from bench.encodings import ENCODINGS, Encoding, encoded
from bench.variants import chords, samples_of
from gateway.audio.types import SAMPLE_RATE


@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
def test_encoding(encoding: Encoding) -> None:
    """Two seconds come back as two seconds, about as loud."""
    samples = chords(2 * SAMPLE_RATE)

    again = samples_of(encoded(samples, encoding))

    assert len(again) / SAMPLE_RATE == pytest.approx(2, abs=0.15)
    assert np.std(again) == pytest.approx(np.std(samples), rel=0.2)


def test_there_are_thirty() -> None:
    """No two are the same."""
    assert len({str(encoding) for encoding in ENCODINGS}) == 30
