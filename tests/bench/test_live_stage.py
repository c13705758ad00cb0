"""Whether a run was heard in time."""

from dataclasses import replace

import pytest

from bench.live_figures import figures
from bench.live_stage import MOST_LAG, Run

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
