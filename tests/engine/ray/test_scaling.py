"""Replicas become more while rows wait and fewer when they are not needed, within the operator's bounds."""

from gateway.engine.ray.messages import Placement
from gateway.engine.ray.scaling import Scaling


def scaling(least: int = 1, most: int = 8, lanes: int = 1) -> Scaling:
    """Up after 5 s, down after 60."""
    return Scaling(Placement(least=least, most=most, up_seconds=5, down_seconds=60), lanes)


def observe(of: Scaling, begin: int, end: int, *, waiting: int = 0, busy: int = 0) -> list[int]:
    """A look each second, all that is wanted being there; what was wanted, without repetitions."""
    looks = (of.observe(now, serving=of.wanted, waiting=waiting, busy=busy) for now in range(begin, end))
    wanted = [of.wanted, *looks]
    return [each for at, each in enumerate(wanted) if not at or each != wanted[at - 1]]


def test_rows_that_wait_bring_replicas() -> None:
    """One more after the first seconds, then half as many again, up to the most."""
    assert observe(scaling(), 0, 60, waiting=3, busy=1) == [1, 2, 3, 4, 6, 8]


def test_a_short_wait_brings_none() -> None:
    """A burst that is over before a replica could be there."""
    wanted = scaling()
    for begin in range(0, 60, 10):
        observe(wanted, begin, begin + 4, waiting=9, busy=1)
        assert observe(wanted, begin + 4, begin + 10, busy=1) == [1]


def test_no_more_are_asked_for_before_the_first_are_there() -> None:
    """Loading takes minutes where weights are fetched; rows wait all the while."""
    wanted = scaling()
    for now in range(100):
        wanted.observe(now, serving=1, waiting=9, busy=1)

    assert wanted.wanted == 2


def test_replicas_that_nobody_needs_go() -> None:
    """After the time that they were not needed, down to what is busy twice over; never below the least."""
    wanted = scaling(least=2)
    observe(wanted, 0, 60, waiting=3, busy=8)

    assert wanted.wanted == 8
    assert observe(wanted, 60, 119, busy=2) == [8]
    assert observe(wanted, 119, 200, busy=2) == [8, 4]
    assert observe(wanted, 200, 400) == [4, 2]


def test_one_busy_moment_keeps_them() -> None:
    """What was needed at any time within the window."""
    wanted = scaling()
    observe(wanted, 0, 60, waiting=3, busy=8)
    for begin in range(60, 600, 50):
        observe(wanted, begin, begin + 49, busy=0)
        observe(wanted, begin + 49, begin + 50, busy=8)

    assert wanted.wanted == 8


def test_lanes_count() -> None:
    """Four calls in replicas of four lanes need two replicas, half idle each."""
    wanted = scaling(lanes=4)
    observe(wanted, 0, 60, waiting=3, busy=8)

    assert observe(wanted, 60, 200, busy=4)[-1] == 2
