"""Whether a run was heard in time, and its figures as a column."""

from dataclasses import replace

import pytest

from bench.crowd import MOST_LAG, Run, runs_table
from bench.sessions import figures

NOBODY = Run("nobody", figures([]), float("nan"), 0.0, 0.0, 0, 0, 0.0, 0.0)

HEARD = replace(figures([]), finals=(0.1, 0.2))


def _run(**changes: object) -> Run:
    return Run("", replace(HEARD, **changes), 0.0, 0.0, 0.0, 0, 0, 0.0, 0.0)  # type: ignore[arg-type]  # fields differ


def test_a_run_fits_when_all_are_heard_in_time() -> None:
    """The slowest finals decide, not the mean."""
    assert _run().fits
    assert not _run(finals=(0.1,) * 9 + (MOST_LAG + 1,)).fits


@pytest.mark.parametrize("name", ["refused", "broken", "lost"])
def test_whoever_is_not_heard_did_not_fit(name: str) -> None:
    """However quick the others were."""
    assert not _run(**{name: 1}).fits


def test_a_run_without_finals_does_not_fit() -> None:
    """Nobody was heard."""
    assert not _run(finals=()).fits


def test_each_run_is_a_column() -> None:
    """What nobody measured is a dash, not a number."""
    some = replace(NOBODY, name="some", figures=replace(NOBODY.figures, finals=(0.1, 0.2, 0.3), begins=0.5))
    rows = {row[0]: row[1:] for row in runs_table("Title", [NOBODY, some]).rows}

    assert rows["final, s: p50 / p95 / p99"] == ("–", "0.20 / 0.29 / 0.30")
    assert rows["begins with released"] == ("–", "50.0 %")
