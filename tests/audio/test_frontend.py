"""What the cutters hear with is the gain and then Silero, and it depends on no slicing."""

import numpy as np
import pytest

from gateway.audio.frontend import FrontEnd
from gateway.audio.loudness import HOP, RunningGain
from gateway.audio.silero import FRAME, SileroModel
from gateway.audio.types import Samples
from tests.audio.sound import cuts


def hear(model: SileroModel, samples: Samples, size: int) -> Samples:
    """All probabilities of a stream, fed in pieces."""
    front_end = FrontEnd(model)
    return np.concatenate([*(front_end.feed(piece) for piece in cuts(samples, size)), front_end.flush()])


def test_the_gain_comes_before_silero(model: SileroModel, hello: Samples) -> None:
    """The probabilities are those of the samples with the running gain, one for each frame begun."""
    gain = RunningGain()
    silero = model.stream()
    loud = np.concatenate([gain.feed(hello), gain.flush()])
    expected = np.concatenate([silero.feed(loud), silero.flush()])

    heard = hear(model, hello, len(hello))

    assert len(heard) == -(-len(hello) // FRAME)
    assert heard.max() > 0.9
    assert np.array_equal(heard, expected)


@pytest.mark.parametrize("size", [1, 160, 1_777])
def test_slicing_changes_nothing(size: int, model: SileroModel, hello: Samples) -> None:
    """Sample by sample, in packets or in odd cuts."""
    samples = hello[:20_000]

    assert np.array_equal(hear(model, samples, size), hear(model, samples, len(samples)))


def test_it_is_a_hop_and_a_frame_late_at_most(model: SileroModel, hello: Samples) -> None:
    """Each frame is known with the hop that its last sample lies in."""
    front_end = FrontEnd(model)
    known = 0
    for fed, piece in enumerate(cuts(hello[:8_000], 100), 1):
        known += len(front_end.feed(piece))

        assert known == fed * 100 // HOP * HOP // FRAME


def test_nothing(model: SileroModel) -> None:
    """An empty stream has no frames."""
    assert len(FrontEnd(model).flush()) == 0
