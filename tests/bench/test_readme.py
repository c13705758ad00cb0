"""Figures in their place."""

from pathlib import Path

import pytest

from bench.__main__ import EXPERIMENTS
from bench.readme import replace

PAGE = "before\n<!-- a -->\nold\n<!-- end of a -->\nafter"


def test_only_the_place_changes() -> None:
    """What stands around it stays; doing it again changes nothing."""
    page = replace(PAGE, "a", "new")

    assert page == "before\n<!-- a -->\n\nnew\n\n<!-- end of a -->\nafter"
    assert replace(page, "a", "new") == page


def test_a_page_without_the_place_is_refused() -> None:
    """Figures are never lost silently."""
    with pytest.raises(ValueError, match="no place for b"):
        replace(PAGE, "b", "new")


def test_the_page_has_a_place_for_each_experiment() -> None:
    """`--write` of any of them finds it."""
    page = (Path(__file__).parents[2] / "bench" / "README.md").read_text("utf-8")

    assert all(replace(page, name, "figures") for name in EXPERIMENTS)
