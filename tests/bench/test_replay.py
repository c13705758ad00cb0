"""A session's rules without a clock: scripted speech, and an engine that hears a word in each half second."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from bench.engines import Cost, Costs, Decoder
from bench.realtime import Item
from bench.replay import ALONE, Cores, Job, Replay
from gateway.audio.frontend import FrontEnd
from gateway.audio.segmenter import Segmenter
from gateway.audio.turns import TurnOptions
from gateway.audio.types import SAMPLE_RATE, Chunk
from gateway.engine.api import Capabilities, DecodeOptions, DecodeRequest, RowFailed
from gateway.flow.options import PartialOptions, Recognition
from gateway.flow.orders import Final, Partial
from gateway.flow.utterance import Utterance
from gateway.transcript import Hypothesis
from gateway.transcript.stable import StabilityOptions
from tests.fake_recognizer import FakeRecognizer
from tests.flow.speech import Script, ScriptedVad, words_of

ONE: Script = [(0.0, 1.0), (1.0, 3.0), (0.0, 2.0)]
PAUSED: Script = [(0.0, 1.0), (1.0, 1.0), (0.0, 0.35), (1.0, 1.0), (0.0, 2.0)]
TWO: Script = [*ONE, (1.0, 2.0), (0.0, 2.0)]
AT_ONCE = Cost(0.0, 0.0)
SILENCE = Hypothesis((), "en", 1.0)


class Listening:
    """An engine that keeps what it was asked."""

    name = "listening"
    capabilities = Capabilities(frozenset({"en"}))

    def __init__(self) -> None:
        self.requests: list[DecodeRequest] = []

    def transcribe(self, batch: Sequence[DecodeRequest]) -> list[Hypothesis | RowFailed]:
        """As `gateway.engine.api.Engine`."""
        self.requests += batch
        return [words_of(request) for request in batch]

    @property
    def partials(self) -> list[float]:
        """Seconds of each."""
        return [len(r.samples) / SAMPLE_RATE for r in self.requests if r.options.beam_size == 1]

    @property
    def finals(self) -> int:
        """Chunks decoded for good."""
        return sum(request.options.beam_size is None for request in self.requests)


def _partial() -> Partial:
    recognition = Recognition(FakeRecognizer().lease, "fake", DecodeOptions(), None)
    chunk = Chunk(0, np.zeros(SAMPLE_RATE, np.float32), ends_utterance=False)
    return Partial(Utterance("item", 0, recognition), recognition, PartialOptions(), chunk, 0)


def _final() -> Final:
    partial = _partial()
    return Final(partial.utterance, partial.recognition, partial.chunk)


def _replay(
    script: Script,
    engine: Listening,
    *,
    costs: Costs = Costs(AT_ONCE, AT_ONCE),  # noqa: B008 - frozen
    step: float = 0.5,
) -> list[Item]:
    options = PartialOptions(step=step, stability=StabilityOptions(1, 0))
    recognition = Recognition(FakeRecognizer().lease, "fake", DecodeOptions(), None)
    seconds = sum(length for _, length in script)
    samples = np.random.default_rng(1).normal(0, 0.1, round(seconds * SAMPLE_RATE)).astype(np.float32)
    segmenter = Segmenter(FrontEnd(ScriptedVad(script).as_model()), TurnOptions())
    return Replay(segmenter, Decoder(engine), costs, recognition, options).run(samples)


def test_an_utterance_has_text_while_it_goes_on() -> None:
    """A word each half second, then the final text, which has them all."""
    (item,) = _replay(ONE, Listening())

    assert item.audio_start == pytest.approx(0.7, abs=0.05)
    assert item.speech_start == pytest.approx(1.0, abs=0.05)
    assert item.audio_end == pytest.approx(4.5, abs=0.1)
    assert item.released is not None
    assert item.released > 3
    assert item.transcript == "".join(text for _, text in item.deltas)
    assert item.deltas[0][0] < 2


def test_slow_partials_thin_out() -> None:
    """The next one waits for one and a half times what the last one took."""
    quick, slow = Listening(), Listening()
    _replay(ONE, quick)
    _replay(ONE, slow, costs=Costs(Cost(1.0, 0.0), AT_ONCE))
    gaps = np.diff(slow.partials)

    assert np.diff(quick.partials) == pytest.approx(0.5, abs=0.11)
    assert all(gap >= 0.9 - 1e-6 for gap in gaps)


def test_a_pause_is_the_final_if_no_more_is_said() -> None:
    """It is decoded once; the answer that was there at the pause is the final at the utterance's end."""
    engine = Listening()
    (item,) = _replay(ONE, engine)

    assert engine.finals == 1
    assert item.completed == pytest.approx(item.audio_end, abs=0.15)


def test_a_pause_gives_what_was_said_before_it() -> None:
    """Also where partials are never due; speech that goes on makes another final."""
    engine = Listening()
    (item,) = _replay(PAUSED, engine, step=float("inf"))

    assert not engine.partials
    assert engine.finals == 2
    assert item.released == 2
    assert item.deltas[0][0] == pytest.approx(2.3, abs=0.1)


def test_a_final_takes_its_time() -> None:
    """Counted from the pause it was decoded at; alone it has both cores."""
    (item,) = _replay(ONE, Listening(), costs=Costs(AT_ONCE, Cost(3.0, 0.0)))

    assert item.completed == pytest.approx(4.0 + 0.256 + ALONE * 3.0, abs=0.15)


def test_utterances_do_not_interleave() -> None:
    """The second has no text before the first is complete."""
    first, second = _replay(TWO, Listening(), costs=Costs(AT_ONCE, Cost(2.5, 0.0)))

    assert first.completed is not None
    assert second.deltas[0][0] >= first.completed
    assert second.completed is not None


def test_two_decodes_share_the_cores() -> None:
    """One alone has both and takes 0.6 of its CPU time; finals do not wait for partials, nor stop them."""
    cores = Cores()
    orders: list[Final | Partial] = [_partial(), _partial(), _partial(), _final()]
    for order in orders[:3]:
        cores.ask(Job(order, SILENCE, 1.0))
    assert [(at, job.order) for at, job in cores.until(0.5)] == []
    cores.ask(Job(orders[3], SILENCE, 1.0))
    cores.cancel(orders[2])
    done = [(at, job.order) for at, job in cores.until(math.inf)]

    assert done == [(1.0, orders[0]), (1.0, orders[1]), (1.6, orders[3])]


def test_what_runs_is_not_stopped() -> None:
    """A decode that nobody wants any more is not told, but takes its time."""
    cores, first, second = Cores(), _partial(), _partial()
    cores.ask(Job(first, SILENCE, 1.0))
    cores.cancel(first)
    cores.ask(Job(second, SILENCE, 1.0))

    assert [(at, job.order) for at, job in cores.until(math.inf)] == [(1.0, second)]
