"""Batches grow only while that lowers the cost of a row, and only to a call that nobody waits long for."""

import pytest

from gateway.engine.sizes import CALL_SECONDS, FORGOTTEN_AFTER, BatchSizes, row_costs


def taught(sizes: BatchSizes, seconds: dict[int, float], calls: int = 200) -> int:
    """Has batches of the size that is asked for take so long, until it stays; returns it."""
    for _ in range(calls):
        rows = sizes.limit("key")
        sizes.observe("key", rows, seconds[rows])
    return sizes.limit("key")


def test_nothing_known_is_one_row() -> None:
    """The first call is short; so is that of each key."""
    sizes = BatchSizes(8, "cpu")
    sizes.observe("other", 1, 0.01)

    assert sizes.limit("key") == 1


@pytest.mark.parametrize(
    ("device", "seconds", "expected"),
    [
        ("cpu", {1: 0.9, 2: 1.7}, 1),  # two would take too long
        ("cpu", {1: 0.2, 2: 0.4, 4: 0.8, 8: 1.6}, 1),  # and here gain nothing
        ("cpu", {1: 0.2, 2: 0.3, 4: 0.55, 8: 1.2}, 4),
        ("cpu", {1: 0.01, 2: 0.015, 4: 0.02, 8: 0.03}, 8),
        ("cuda", {1: 0.1, 2: 0.11, 4: 0.13, 8: 0.2, 16: 0.35}, 8),
        # One alone takes longer than it should: what adds little to that may come along.
        ("cuda", {1: 0.5, 2: 0.52, 4: 0.6, 8: 0.7, 16: 1.2}, 8),
    ],
)
def test_it_finds_the_size(device: str, seconds: dict[int, float], expected: int) -> None:
    """By trying what promises something."""
    most = 16 if device == "cuda" else 8

    assert taught(BatchSizes(most, device), seconds) == expected  # type: ignore[arg-type]


def test_the_largest_need_not_be_a_power_of_two() -> None:
    """It is kept as it is, where all smaller ones pay."""
    sizes = BatchSizes(6, "cpu")
    for rows in (1, 2, 4):
        sizes.observe("key", rows, 0.01 * rows**0.5)

    assert sizes.limit("key") == 6


def test_a_machine_that_becomes_slower_has_smaller_batches() -> None:
    """The mean follows within some calls."""
    sizes = BatchSizes(8, "cpu")
    fast = taught(sizes, {1: 0.1, 2: 0.15, 4: 0.25, 8: 0.45})
    for rows in (1, 2, 4, 8):
        for _ in range(30):
            sizes.observe("key", rows, 2.0 * rows)

    assert (fast, sizes.limit("key")) == (8, 1)


def test_what_was_bad_once_is_tried_again() -> None:
    """One slow call, as while something else ran, does not decide for good."""
    sizes = BatchSizes(2, "cpu")
    sizes.observe("key", 1, 0.1)
    sizes.observe("key", 2, 5.0)
    before = sizes.limit("key")
    for _ in range(FORGOTTEN_AFTER + 1):
        sizes.observe("key", 1, 0.1)

    assert (before, sizes.limit("key")) == (1, 2)


def test_the_curves_that_are_kept_are_sound() -> None:
    """Each device has one that begins at 1."""
    for device in CALL_SECONDS:
        costs = row_costs(device)

        assert costs[1] == 1
        assert all(0 < cost <= 1 for cost in costs.values())
