"""Figures from measurements."""

import math
from functools import partial

import pytest

from bench.stats import interleaved, largest, percentile, ratios, spread


def test_a_spread_is_the_median_and_the_range() -> None:
    """An outlier moves the range, not the median; one value has no range."""
    assert spread([1.0, 2.0, 9.0], 1) == "2.0 (1.0–9.0)"
    assert spread([3.14159]) == "3.14"


def test_ratios_are_taken_round_by_round() -> None:
    """A round in which the machine was slow has the same ratio as another."""
    assert ratios([2.0, 20.0], [1.0, 10.0]) == [2.0, 2.0]


def test_sides_take_turns() -> None:
    """Each side is measured once in a round, and no side always goes first."""
    order: list[str] = []

    def measure(name: str) -> float:
        order.append(name)
        return float(len(order))

    values = interleaved({name: partial(measure, name) for name in "ab"}, 3)

    assert "".join(order) == "abbaab"
    assert values == {"a": [1.0, 4.0, 5.0], "b": [2.0, 3.0, 6.0]}


@pytest.mark.parametrize(("most", "found"), [(0, 0), (1, 1), (3, 3), (5, 5), (6, 6), (64, 32), (13, 12)])
def test_the_largest_number_is_searched(most: int, found: int) -> None:
    """Doubled, then halved twice, so a large one is found from below; never more than asked for."""
    tried: list[int] = []

    def fits(clients: int) -> bool:
        tried.append(clients)
        return clients <= most

    assert largest(fits, 32) == found
    assert len(tried) == len(set(tried))
    assert max(tried) <= 32


def test_nothing_has_no_percentile() -> None:
    """Instead of an error, or of 0."""
    assert math.isnan(percentile([], 50))
    assert percentile([1.0, 3.0], 50) == 2
