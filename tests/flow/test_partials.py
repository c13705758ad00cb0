"""Partials: when one is due, what it asks the engine for, and what becomes of it. Time is the test's."""

import anyio
import numpy as np
import pytest

from gateway.audio.types import SAMPLE_RATE, Chunk
from gateway.engine.api import DecodeOptions, Priority
from gateway.errors import SupersededError
from gateway.flow.load import PARTIALS_UNTIL, LiveLoad
from gateway.flow.options import PartialOptions, Recognition
from gateway.flow.partials import BREATH, Partial, Partials
from gateway.flow.utterance import Utterance
from gateway.metrics import Metrics
from gateway.transcript import Hypothesis
from tests.flow.speech import Engine, say

STEP = PartialOptions(step=0.5)


class Bench:
    """Partials, an engine and a clock."""

    def __init__(self, decoding: DecodeOptions | None = None) -> None:
        self.now = 0.0
        self.engine = Engine(lambda call: None)
        self.load = LiveLoad(lambda: self.now)
        self.metrics = Metrics()
        self.partials = Partials(self.load, self.metrics, "stream", lambda: self.now)
        self.recognition = Recognition(self.engine, "fake", decoding or DecodeOptions(), STEP)
        self.told: list[Hypothesis] = []

    def add(self, seconds: float = 1.0) -> Partial:
        """A partial of a chunk so long."""
        chunk = Chunk(0, 0, 0, np.zeros(round(seconds * SAMPLE_RATE), np.float32), ends_utterance=False)
        return self.partials.add(Utterance("item", 0, self.recognition), self.recognition, STEP, chunk)

    def tell(self, partial: Partial, hypothesis: Hypothesis) -> bool:
        """In time."""
        self.told.append(hypothesis)
        return True

    def outcomes(self, outcome: str) -> float | None:
        """The metric."""
        return self.metrics.registry.get_sample_value("gateway_live_partials_total", {"outcome": outcome})

    def is_due(self, seconds: float) -> bool:
        """With so much audio."""
        return self.partials.is_due(round(seconds * SAMPLE_RATE), STEP)


@pytest.mark.parametrize("took", [0.0, 0.2, 3.0])
async def test_the_next_one_is_due(took: float) -> None:
    """A step behind the audio of the last, or later where that took long; never while one is in flight."""
    bench = Bench()
    assert bench.is_due(1.0)
    partial = bench.add(1.0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bench.partials.decode, partial, None, bench.tell)
        await anyio.wait_all_tasks_blocked()
        assert not bench.is_due(100.0)
        bench.now += took
        bench.engine.calls[0].answer(say("a"))
    due = 1.0 + max(STEP.step, BREATH * took)

    assert not bench.is_due(due - 0.01)
    assert bench.is_due(due)
    assert bench.told == [say("a")]
    assert bench.outcomes("decoded") == 1


def test_put_off_and_under_load() -> None:
    """By a step each; under load each is counted as dropped."""
    bench = Bench()
    bench.partials.put_off(SAMPLE_RATE, STEP)
    assert not bench.is_due(1.4)
    assert bench.outcomes("dropped") is None
    with bench.load.final():
        bench.now += PARTIALS_UNTIL + 0.1
        assert [bench.is_due(seconds) for seconds in (1.5, 1.6, 1.9, 2.0)] == [False] * 4
    bench.now += 60

    assert bench.outcomes("dropped") == 2
    assert not bench.is_due(2.4)
    assert bench.is_due(2.5)


async def test_given_up() -> None:
    """Its row is cancelled, nothing is told, and the next may come at once."""
    bench = Bench()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bench.partials.decode, bench.add(), None, bench.tell)
        await anyio.wait_all_tasks_blocked()
        bench.partials.give_up()
        assert bench.is_due(1.0)

    assert bench.engine.calls[0].cancelled
    assert bench.told == []
    assert bench.outcomes("dropped") == 1
    assert bench.engine.leases == 0


async def test_superseded() -> None:
    """Is no error: a newer one of the stream is there."""
    bench = Bench()
    bench.engine.respond = lambda call: call.answer(SupersededError())
    await bench.partials.decode(bench.add(), None, bench.tell)

    assert bench.told == []
    assert bench.outcomes("dropped") == 1


@pytest.mark.parametrize(
    ("decoding", "known", "language", "languages"),
    [
        (DecodeOptions(), None, None, ()),
        (DecodeOptions(), "de", "de", ()),
        (DecodeOptions(), "fi", None, ()),
        (DecodeOptions(language="en"), "de", "en", ()),
        (DecodeOptions(languages=("en", "zh")), "zh", "zh", ()),
        (DecodeOptions(languages=("en", "zh")), "de", None, ("en", "zh")),
    ],
)
async def test_the_language(
    decoding: DecodeOptions, known: str | None, language: str | None, languages: tuple[str, ...]
) -> None:
    """The client's, or that of the last final where it is one of the client's and one of the engine's."""
    bench = Bench(decoding)
    bench.engine.respond = lambda call: call.answer(say("a"))
    await bench.partials.decode(bench.add(), known, bench.tell)
    [call] = bench.engine.calls

    assert (call.request.options.language, call.request.options.languages) == (language, languages)
    assert call.request.options.beam_size == STEP.beam_size
    assert (call.stream, call.priority) == ("stream", Priority.LIVE_PARTIAL)
