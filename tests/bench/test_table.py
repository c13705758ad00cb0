"""Figures as text."""

from functools import partial

from bench.table import Table, interleaved, ratios, spread


def test_a_table_is_markdown() -> None:
    """The first column stands left, numbers right."""
    table = Table("Costs", ("", "ms"), (("one", "1"), ("two", "2")))

    assert table.markdown() == "**Costs**\n\n|  | ms |\n| --- | --: |\n| one | 1 |\n| two | 2 |"


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
