"""The simulation agrees with what can be computed, and with what the server promises."""

import statistics

import pytest

pytest.importorskip("simpy", reason="capacity is simulated with SimPy, of the bench extra")

from bench.costs import Cost
from bench.simulation import Arrival, Fleet, Live, Simulation, arrivals

FLAT = Cost(fixed=1.0, per_second=0.0)


def test_alone() -> None:
    """A recording that is alone takes what its chunks take, one after the other, and what is outside."""
    cost = Cost(fixed=0.2, per_second=0.01)
    fleet = Fleet(1, cost, max_batch=1, overhead=0.1, cut=0.001)
    [(seconds, took)] = Simulation(fleet).run(100, files=[Arrival(3.0, 40.0)]).files

    assert seconds == 40.0
    # Its second chunk is cut while the first is decoded.
    assert took == pytest.approx(0.03 + (0.2 + 0.3) + (0.2 + 0.1) + 0.1, abs=0.001)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_a_queue_that_is_known(load: float) -> None:
    """One call of one row at a time, arrivals by chance: the mean wait is that of Pollaczek and Khinchine."""
    coming = arrivals(load, 20_000, [5.0], seed=3)
    seen = Simulation(Fleet(1, FLAT, max_batch=1), max_rows=10_000).run(21_000, files=coming)
    wait = statistics.fmean(took for _, took in seen.files) - 1.0

    assert len(seen.files) == len(coming)
    assert wait == pytest.approx(load / (2 * (1 - load)), rel=0.1)
    assert seen.busy == pytest.approx(len(coming))


def test_batches_raise_the_limit() -> None:
    """Twice what rows alone allow is served by sharing calls, as the curve has it."""
    coming = arrivals(2.0, 200, [5.0])
    alone = Simulation(Fleet(1, FLAT, max_batch=1), max_rows=10_000).run(300, files=coming)
    shared = Simulation(Fleet(1, FLAT), max_rows=10_000).run(300, files=coming)

    assert shared.rows / shared.calls > 1.5
    assert shared.file(50) < alone.file(50) / 3


def test_lanes_share_a_processor() -> None:
    """Two calls at a time take as much longer as the rates say; one that goes on alone is quick again."""
    cost = Cost(fixed=1.0, per_second=0.1, rates=(1.0, 0.75))
    fleet = Fleet(1, cost, max_batch=1)
    short, long = Simulation(fleet).run(100, files=[Arrival(0.0, 0.0001), Arrival(0.0, 10.0)]).files

    assert short[1] == pytest.approx(1.0 / 0.75, abs=0.01)
    assert long[1] == pytest.approx(1.0 / 0.75 + 1.0, abs=0.01)


def test_live_sessions_go_first() -> None:
    """Beside any number of recordings finals wait for a call at most; partials are what load takes away."""
    cost = Cost(fixed=0.05, per_second=0.004)
    few = Simulation(Fleet(1, cost)).run(60, live=Live(5))
    beside = Simulation(Fleet(1, cost)).run(60, live=Live(5), files=arrivals(4.0, 60, [300.0]))
    many = Simulation(Fleet(1, cost)).run(60, live=Live(200))

    assert few.final(95) < beside.final(95) < 1.0
    assert few.partials / len(few.finals) > 2 * many.partials / len(many.finals)


def test_the_same_again() -> None:
    """A seed is a result."""
    first, second = (Simulation(Fleet(2, FLAT), seed=7).run(60, live=Live(10)) for _ in range(2))
    other = Simulation(Fleet(2, FLAT), seed=8).run(60, live=Live(10))

    assert first == second
    assert first != other


def test_a_full_queue_refuses() -> None:
    """As the server's own does."""
    seen = Simulation(Fleet(1, FLAT, max_batch=1), max_rows=3).run(60, files=[Arrival(0.0, 5.0)] * 10)

    assert seen.refused > 0
    assert len(seen.files) + seen.refused == 10
