"""How long finals take decides about partials and newcomers; when a partial is due. Time is the test's."""

from collections import deque
from contextlib import ExitStack

import pytest

from gateway.audio.types import SAMPLE_RATE
from gateway.errors import EngineFailedError, OverloadedError
from gateway.flow.options import PartialOptions
from gateway.flow.pacing import (
    ADMIT_UNTIL,
    ADMIT_UNTIL_BUSY,
    AHEAD_UNTIL,
    BACK_OFF,
    LEAST_SECONDS,
    PARTIALS_UNTIL,
    PARTIALS_UNTIL_BUSY,
    RECENT,
    SLOW,
    WINDOW_SECONDS,
    Load,
    Pacing,
)
from gateway.metrics import Metrics


class Clock:
    """Seconds, as the test says."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A new one."""
    return Clock()


@pytest.fixture
def load(clock: Clock) -> Load:
    """Without any final yet."""
    return Load(clock, Metrics())


def decode(load: Load, clock: Clock, seconds: float) -> None:
    """A final that takes so long."""
    with load.final(counts=True):
        clock.now += seconds


def admit(load: Load) -> None:
    """A session that is let in, and leaves."""
    with load.session():
        pass


def test_nothing_yet(load: Load) -> None:
    """An idle server lets everything in."""
    admit(load)

    assert load.lag == 0.0
    assert load.allows_partials


def test_lag_is_the_median(load: Load, clock: Clock) -> None:
    """Of the finals that ended lately; one that took long is none, many are."""
    for seconds in (0.1, 0.2, 9.0):
        decode(load, clock, seconds)

    assert load.lag == pytest.approx(0.2)


def test_what_runs_counts(load: Load, clock: Clock) -> None:
    """A final that does not end shows the lag before any does; partials stop before newcomers are refused."""
    decode(load, clock, 0.1)
    with ExitStack() as running:
        running.enter_context(load.final(counts=True))
        clock.now += PARTIALS_UNTIL
        assert load.allows_partials
        clock.now += 0.1
        assert not load.allows_partials
        admit(load)
        clock.now += ADMIT_UNTIL
        with pytest.raises(OverloadedError):
            admit(load)
    clock.now += WINDOW_SECONDS
    admit(load)

    assert load.allows_partials


def test_the_past_is_forgotten(load: Load, clock: Clock) -> None:
    """Slow finals of a busy minute do not close the door for longer."""
    for _ in range(3):
        decode(load, clock, 0.1)
    with ExitStack() as together:
        for _ in range(5):
            together.enter_context(load.final(counts=True))
        clock.now += 5.0
    assert not load.allows_partials
    clock.now += WINDOW_SECONDS

    assert load.lag == 0.0


def test_a_slow_engine_is_not_an_overloaded_one(load: Load, clock: Clock) -> None:
    """Where a final alone takes two seconds, three times as long is too long."""
    for seconds in (0.1, 2.0, 2.0):
        decode(load, clock, seconds)
    assert load.allows_partials
    with load.final(counts=True):
        clock.now += 2.0 * SLOW
        admit(load)
        clock.now += 0.1
        with pytest.raises(OverloadedError):
            admit(load)


def test_how_much_of_the_time_finals_take(load: Load, clock: Clock) -> None:
    """Several at once count once, those that are cancelled as well, and what is long past not at all."""
    began = clock.now
    with pytest.raises(ZeroDivisionError), load.final(counts=True):
        decode(load, clock, 1.0)
        clock.now += 1.0
        raise ZeroDivisionError
    assert load.finals_share == pytest.approx(2.0 / WINDOW_SECONDS)
    clock.now = began + WINDOW_SECONDS + 1.5
    assert load.finals_share == pytest.approx(0.5 / WINDOW_SECONDS)
    with load.final(counts=True):
        clock.now += 2 * WINDOW_SECONDS
        assert load.finals_share == 1.0
    clock.now += WINDOW_SECONDS

    assert load.finals_share == 0.0


def test_finals_that_may_be_none_are_left_out_first(load: Load, clock: Clock) -> None:
    """Where those that are some take half of the time; partials go on."""
    for _ in range(5):
        assert load.allows_ahead
        decode(load, clock, 1.2)
        clock.now += 0.8
    assert not load.allows_ahead
    assert load.allows_partials
    clock.now += 2.0

    assert load.allows_ahead


def test_an_engine_with_room_for_more(load: Load, clock: Clock) -> None:
    """Finals of many people at all times, each of them soon there: those of pauses keep nobody waiting."""
    for _ in range(20):
        decode(load, clock, 0.4)
    assert load.finals_share > AHEAD_UNTIL
    assert load.allows_ahead
    for _ in range(20):
        decode(load, clock, 0.6)

    assert not load.allows_ahead


def test_nobody_waits_for_what_is_over(load: Load, clock: Clock) -> None:
    """Who comes back after long finals is let in at once; beside one that still takes long nobody is."""
    decode(load, clock, 0.1)
    decode(load, clock, 0.1)
    with load.final(counts=True):
        decode(load, clock, 9.0)
        with pytest.raises(OverloadedError):
            admit(load)

    assert load.lag > ADMIT_UNTIL
    admit(load)


def test_a_load_that_grows_slowly(load: Load, clock: Clock) -> None:
    """20 finals a second are decoded and 25 come, so all wait alike; the engine is not slow."""
    decode(load, clock, 0.05)
    refused, waiting = 0, deque[ExitStack]()
    for step in range(60 * 100):
        clock.now += 0.01
        if step % 4 == 0:
            waiting.append(ExitStack())
            waiting[-1].enter_context(load.final(counts=True))
        if step % 5 == 0 and waiting:
            waiting.popleft().close()
        refused += load.lag > ADMIT_UNTIL and not load.allows_partials
        if load.lag > ADMIT_UNTIL:
            with pytest.raises(OverloadedError):
                admit(load)

    assert refused > 1_000


def test_failures_tell_no_time(load: Load, clock: Clock) -> None:
    """A final that is refused or given up at once does not make the engine look fast."""
    for _ in range(3):
        decode(load, clock, 2.0)
    with pytest.raises(EngineFailedError), load.final(counts=True):
        raise EngineFailedError("refused")

    assert load.lag == pytest.approx(2.0)
    assert load.allows_partials


def test_finals_that_do_not_count(load: Load, clock: Clock) -> None:
    """Those of a client faster than speech say nothing about those of people."""
    with load.final(counts=False):
        clock.now += 10.0
        assert load.lag == 0.0

    assert load.lag == 0.0


def test_cutting_that_takes_long(load: Load, clock: Clock) -> None:
    """Where the server itself falls behind, partials stop first, then newcomers are refused; it passes."""
    load.cut(0.1, 0.01)

    assert load.allows_partials
    for _ in range(3):
        load.cut(0.1, 0.1 * (PARTIALS_UNTIL_BUSY + 0.1))

    assert not load.allows_partials
    admit(load)
    for _ in range(RECENT):
        load.cut(0.1, 0.1 * (ADMIT_UNTIL_BUSY + 0.1))
    admit(load)  # of one who is not there any more
    with load.session():
        with pytest.raises(OverloadedError):
            admit(load)
        clock.now += WINDOW_SECONDS

        assert load.busy == 0.0
        admit(load)


def test_audio_of_no_length(load: Load) -> None:
    """Half a sample says nothing."""
    load.cut(0.0, 1.0)

    assert load.busy == 0.0


def test_audio_in_crumbs(load: Load) -> None:
    """A client whose commands cut its audio in samples keeps nobody out, however little is in each."""
    for _ in range(RECENT):
        load.cut(1 / SAMPLE_RATE, LEAST_SECONDS / 100)

    with load.session():
        admit(load)
    assert load.allows_partials


STEP = PartialOptions(step=0.5)


class Bench:
    """The pacing of one stream under a load that both are the test's."""

    def __init__(self, clock: Clock) -> None:
        self.metrics = Metrics()
        self.load = Load(clock, self.metrics)
        self.pacing = Pacing(self.load, clock, self.metrics)

    def is_due(self, seconds: float) -> bool:
        """With so much audio."""
        return self.pacing.is_due(round(seconds * SAMPLE_RATE), STEP)

    def outcomes(self, outcome: str) -> float | None:
        """The metric."""
        return self.metrics.registry.get_sample_value("gateway_live_partials_total", {"outcome": outcome})


@pytest.mark.parametrize("took", [0.0, 0.2, 3.0])
def test_the_next_one_is_due(took: float, clock: Clock) -> None:
    """A step after the audio of the last, or later where that took long; never while one is in flight."""
    bench = Bench(clock)
    assert bench.is_due(1.0)
    bench.pacing.begin()
    assert not bench.is_due(100.0)
    clock.now += took
    bench.pacing.end(SAMPLE_RATE, STEP, in_time=True)
    due = 1.0 + max(STEP.step, STEP.breath * took)

    assert not bench.is_due(due - 0.01)
    assert bench.is_due(due)
    assert bench.outcomes("decoded") == 1


def test_put_off_and_under_load(clock: Clock) -> None:
    """By a step each; under load each is counted as dropped."""
    bench = Bench(clock)
    bench.pacing.put_off(SAMPLE_RATE, STEP)
    assert not bench.is_due(1.4)
    assert bench.outcomes("dropped") is None
    with bench.load.final(counts=True):
        clock.now += PARTIALS_UNTIL + 0.1
        assert [bench.is_due(seconds) for seconds in (1.5, 1.6, 1.9, 2.0)] == [False] * 4
    clock.now += 60

    assert bench.outcomes("dropped") == 2
    assert not bench.is_due(2.4)
    assert bench.is_due(2.5)


def test_cancelled(clock: Clock) -> None:
    """The next may come at once."""
    bench = Bench(clock)
    bench.pacing.begin()
    bench.pacing.cancel()

    assert bench.is_due(1.0)
    assert bench.outcomes("dropped") == 1


def test_failures_thin_out(clock: Clock) -> None:
    """Each makes the next step longer; one that is decoded ends that."""
    bench = Bench(clock)
    for failures in range(1, 4):
        bench.pacing.begin()
        bench.pacing.end(0, STEP, in_time=False)
        assert not bench.is_due(STEP.step * BACK_OFF**failures - 0.01)
        assert bench.is_due(STEP.step * BACK_OFF**failures)
    bench.pacing.begin()
    bench.pacing.end(0, STEP, in_time=True)

    assert bench.is_due(STEP.step)


def test_nobody_waits_for_the_partials_of_one_who_is_ahead(clock: Clock) -> None:
    """A client faster than speech gets its finals, and takes no time of those who speak."""
    bench = Bench(clock)
    assert bench.is_due(1)
    bench.pacing.is_ahead = True

    assert not bench.is_due(1)
    assert not bench.pacing.allows_partials
    assert bench.load.allows_partials
