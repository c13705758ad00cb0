"""The page of promises says what was tried, and nothing else."""

from pathlib import Path
from typing import Literal, TypeAlias

import pytest

from tests.promises import Promises

Phase: TypeAlias = tuple[Literal["setup", "call", "teardown"], Literal["passed", "failed", "skipped"]]


@pytest.mark.parametrize(
    ("phases", "kept"),
    [
        ([("setup", "passed"), ("call", "passed"), ("teardown", "passed")], "yes"),
        ([("setup", "passed"), ("call", "failed"), ("teardown", "passed")], "**no**"),
        ([("setup", "failed"), ("teardown", "passed")], "**no**"),
        ([("setup", "passed"), ("call", "passed"), ("teardown", "failed")], "**no**"),
        ([("setup", "passed"), ("call", "skipped"), ("teardown", "passed")], "not tried"),
        ([("setup", "skipped"), ("teardown", "passed")], "not tried"),
    ],
)
def test_what_a_test_says(tmp_path: Path, phases: list[Phase], kept: str) -> None:
    """A test that was skipped in the middle passed its setup, and has shown nothing."""
    promises = Promises(tmp_path / "page.md")
    for when, outcome in phases:
        properties: list[tuple[str, object]] = [("promise", "no word is lost"), ("figure", "3 kills")]
        where = ("tests/test_a.py", 1, "test_a")
        promises.pytest_runtest_logreport(
            pytest.TestReport(
                "tests/test_a.py::test_a[1]", where, {}, outcome, None, when, user_properties=properties
            )
        )
    promises.pytest_sessionfinish()
    [line] = [each for each in (tmp_path / "page.md").read_text().splitlines() if "no word" in each]

    figure = "3 kills" if (("call", "passed") in phases or ("call", "failed") in phases) else ""
    assert line == f"| no word is lost | {kept} | {figure} | 0 | `tests/test_a.py::test_a` |"
