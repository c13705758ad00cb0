"""Figures in their place."""

from importlib import import_module
from pathlib import Path

import pytest

from bench.__main__ import parse, replace
from bench.stages import DEFAULT, NAMES

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


def test_the_page_has_a_place_for_each_stage() -> None:
    """`--write` of any of them finds it."""
    page = (Path(__file__).parents[2] / "bench" / "README.md").read_text("utf-8")

    assert all(replace(page, name, "figures") for name in DEFAULT)


@pytest.mark.parametrize("name", NAMES)
def test_each_module_is_a_stage(name: str) -> None:
    """It has something to run, and those of the default run are there."""
    assert callable(import_module(f"bench.stages.{name}").run)
    assert set(DEFAULT) <= set(NAMES)


@pytest.mark.parametrize(
    ("argv", "names", "only"),
    [
        ([], [], []),
        (["--quick"], [], []),
        (["memory", "overlap"], ["memory", "overlap"], []),
        (["--only", "memory"], [], ["memory"]),
    ],
)
def test_stages_of_the_command_line(argv: list[str], names: list[str], only: list[str]) -> None:
    """Positional, as an option, or none."""
    arguments = parse(argv)

    assert arguments.names == names
    assert arguments.only == only


def test_a_stage_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """The name is in the refusal."""
    with pytest.raises(SystemExit):
        parse(["memry"])

    assert "no stage is called 'memry'" in capsys.readouterr().err
