"""What the cutters hear with is Silero, as recorded and with the gain; it depends on no slicing."""

import numpy as np
import pytest

from gateway.audio.declip import declip
from gateway.audio.frontend import FrontEnd
from gateway.audio.loudness import HOP, RunningGain
from gateway.audio.silero import FRAME, SileroModel
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.audio.vad import Onset, Vad, VadOptions
from tests.audio.sound import at_level, cuts, edges


def hear(model: SileroModel, samples: Samples, size: int) -> Samples:
    """All probabilities of a stream, fed in pieces."""
    front_end = FrontEnd(model)
    return np.concatenate([*(front_end.feed(piece) for piece in cuts(samples, size)), front_end.flush()])


def probabilities(model: SileroModel, samples: Samples) -> Samples:
    """Silero's of a whole stream."""
    silero = model.stream()
    return np.concatenate([silero.feed(samples), silero.flush()])


def first_word(heard: Samples) -> float:
    """Seconds to the first of three frames of speech; of none, infinity."""
    events = edges(Vad(VadOptions()), list(heard))
    return next((event.sample / SAMPLE_RATE for event in events if isinstance(event, Onset)), np.inf)


def test_the_larger_of_two_probabilities_counts(model: SileroModel, hello: Samples) -> None:
    """Those of the samples as they are and with the running gain, one for each frame begun."""
    gain = RunningGain()
    loud = np.concatenate([gain.feed(hello), gain.flush()])
    both = probabilities(model, hello), probabilities(model, loud)

    heard = hear(model, hello, len(hello))

    assert len(heard) == -(-len(hello) // FRAME)
    assert heard.max() > 0.9
    assert np.array_equal(heard, np.maximum(*both))
    assert all((heard > one).any() for one in both)


@pytest.mark.parametrize("quiet", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("floor", [-90, -70, -50])
def test_the_first_word_is_heard(model: SileroModel, hello: Samples, floor: float, quiet: float) -> None:
    """After any quiet stretch speech begins where the better of the two has it."""
    speech = at_level(hello[6_000:], -20)
    noise = np.random.default_rng(0).standard_normal(int(quiet * SAMPLE_RATE) + len(speech))
    stream = at_level(noise.astype(np.float32), floor)
    stream[-len(speech) :] += speech
    gain = RunningGain()
    loud = np.concatenate([gain.feed(stream), gain.flush()])
    better = min(first_word(probabilities(model, each)) for each in (stream, loud))

    assert first_word(hear(model, stream, len(stream))) <= better + 0.15


@pytest.mark.parametrize("dbfs", [-80, -60, -40])
def test_quiet_speech_is_heard(model: SileroModel, hello: Samples, dbfs: float) -> None:
    """Speech is found at any level, down to a few steps of 16 bits."""
    assert first_word(hear(model, at_level(hello, dbfs), len(hello))) < 0.7


def test_cut_tops_are_put_back_for_both(model: SileroModel, hello: Samples) -> None:
    """Without a gain, too, Silero hears no square waves, which it takes for no speech."""
    samples = hello[: len(hello) // HOP * HOP]
    clipped = np.clip(at_level(samples, 20), -1, 1)
    restored = declip(clipped.reshape(-1, HOP)).reshape(-1)

    heard = hear(model, clipped, len(clipped))

    assert (heard >= probabilities(model, restored)).all()
    assert not (heard >= probabilities(model, clipped)).all()


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
