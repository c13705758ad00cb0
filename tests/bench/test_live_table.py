"""A run's figures as a column."""

from dataclasses import replace

from bench.live_figures import figures
from bench.live_stage import Run
from bench.live_table import per_cent, runs_table

NOTHING = Run("nobody", figures([]), float("nan"), 0.0, 0.0, 0, 0, 0.0, 0.0)


def test_each_run_is_a_column() -> None:
    """What nobody measured is a dash, not a number."""
    some = replace(NOTHING, name="some", figures=replace(NOTHING.figures, finals=(0.1, 0.2, 0.3), begins=0.5))
    rows = {row[0]: row[1:] for row in runs_table("Title", [NOTHING, some]).rows}

    assert rows["final, s: p50 / p95 / p99"] == ("–", "0.20 / 0.29 / 0.30")
    assert rows["begins with released"] == ("–", "50.0 %")
    assert per_cent(0.123) == "12.3 %"
