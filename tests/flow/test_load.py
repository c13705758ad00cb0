"""How long finals take decides about partials and newcomers. Time is the test's."""

from collections import deque
from contextlib import ExitStack

import pytest

from gateway.errors import EngineFailedError, OverloadedError
from gateway.flow.load import (
    ADMIT_UNTIL,
    ADMIT_UNTIL_BUSY,
    PARTIALS_UNTIL,
    PARTIALS_UNTIL_BUSY,
    RECENT,
    SLOW,
    WINDOW_SECONDS,
    LiveLoad,
)


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
def load(clock: Clock) -> LiveLoad:
    """Without any final yet."""
    return LiveLoad(clock)


def decode(load: LiveLoad, clock: Clock, seconds: float) -> None:
    """A final that takes so long."""
    with load.final():
        clock.now += seconds


def test_nothing_yet(load: LiveLoad) -> None:
    """An idle server lets everything in."""
    load.admit()

    assert load.lag == 0.0
    assert load.allows_partials


def test_lag_is_the_median(load: LiveLoad, clock: Clock) -> None:
    """Of the finals that ended lately; one that took long is none, many are."""
    for seconds in (0.1, 0.2, 9.0):
        decode(load, clock, seconds)

    assert load.lag == pytest.approx(0.2)


def test_what_runs_counts(load: LiveLoad, clock: Clock) -> None:
    """A final that does not end shows the lag before any does; partials stop before newcomers are refused."""
    decode(load, clock, 0.1)
    with ExitStack() as running:
        running.enter_context(load.final())
        clock.now += PARTIALS_UNTIL
        assert load.allows_partials
        clock.now += 0.1
        assert not load.allows_partials
        load.admit()
        clock.now += ADMIT_UNTIL
        with pytest.raises(OverloadedError):
            load.admit()
    clock.now += WINDOW_SECONDS
    load.admit()

    assert load.allows_partials


def test_the_past_is_forgotten(load: LiveLoad, clock: Clock) -> None:
    """Slow finals of a busy minute do not close the door for longer."""
    decode(load, clock, 0.1)
    for _ in range(5):
        decode(load, clock, 5.0)
    assert not load.allows_partials
    clock.now += WINDOW_SECONDS

    assert load.lag == 0.0


def test_a_slow_engine_is_not_an_overloaded_one(load: LiveLoad, clock: Clock) -> None:
    """Where a final alone takes two seconds, three times as long is too long."""
    for _ in range(3):
        decode(load, clock, 2.0)
    load.admit()
    assert load.allows_partials
    for _ in range(5):
        decode(load, clock, 2.0 * SLOW + 0.1)

    assert load.lag == pytest.approx(2.0 * SLOW + 0.1)
    with pytest.raises(OverloadedError):
        load.admit()


def test_a_load_that_grows_slowly(load: LiveLoad, clock: Clock) -> None:
    """20 finals a second are decoded and 25 come, so all wait alike; the engine is not slow."""
    decode(load, clock, 0.05)
    refused, waiting = 0, deque[ExitStack]()
    for step in range(60 * 100):
        clock.now += 0.01
        if step % 4 == 0:
            waiting.append(ExitStack())
            waiting[-1].enter_context(load.final())
        if step % 5 == 0 and waiting:
            waiting.popleft().close()
        refused += load.lag > ADMIT_UNTIL and not load.allows_partials
        if load.lag > ADMIT_UNTIL:
            with pytest.raises(OverloadedError):
                load.admit()

    assert refused > 1_000


def test_failures_tell_no_time(load: LiveLoad, clock: Clock) -> None:
    """A final that is refused or given up at once does not make the engine look fast."""
    for _ in range(3):
        decode(load, clock, 2.0)
    with pytest.raises(EngineFailedError), load.final():
        raise EngineFailedError("refused")

    assert load.lag == pytest.approx(2.0)
    assert load.allows_partials


def test_memory_is_bounded(load: LiveLoad, clock: Clock) -> None:
    """Of a thousand finals the last are looked at."""
    for _ in range(1000):
        decode(load, clock, 0.001)

    assert len(load._ended) == len(load._alone) == RECENT
    assert load._running == {}


def test_hearing_that_takes_long(load: LiveLoad, clock: Clock) -> None:
    """Where the server itself falls behind, partials stop first, then newcomers are refused; it passes."""
    load.heard(0.1, 0.01)

    assert load.allows_partials
    for _ in range(3):
        load.heard(0.1, 0.1 * (PARTIALS_UNTIL_BUSY + 0.1))

    assert not load.allows_partials
    load.admit()
    for _ in range(RECENT):
        load.heard(0.1, 0.1 * (ADMIT_UNTIL_BUSY + 0.1))
    with pytest.raises(OverloadedError):
        load.admit()
    clock.now += WINDOW_SECONDS

    assert load.busy == 0.0
    load.admit()


def test_audio_of_no_length(load: LiveLoad) -> None:
    """Half a sample says nothing."""
    load.heard(0.0, 1.0)

    assert load.busy == 0.0
