"""Findings as text."""

from bench.stage import Table, Target, markdown


def test_a_table_is_markdown() -> None:
    """The first column stands left, numbers right."""
    table = Table("Costs", ("", "ms"), (("one", "1"), ("two", "2")))

    assert table.markdown() == "**Costs**\n\n|  | ms |\n| --- | --: |\n| one | 1 |\n| two | 2 |"


def test_tables_stand_before_targets_and_notes() -> None:
    """In whatever order a stage finds them."""
    table = Table("Costs", ("", "ms"), [])
    found = markdown(
        ["A note.", Target("cheap", "1 ms", reached=True), table, Target("fast", "-", reached=False)]
    )

    assert found == f"{table.markdown()}\n\n- reached: cheap: 1 ms\n- MISSED: fast: -\n\nA note."
    assert markdown([table]) == table.markdown()
