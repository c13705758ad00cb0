"""A task group that fails with one exception raises that one."""

import pytest

from gateway.concurrency import open_task_group


async def _fail(error: Exception) -> None:
    raise error


async def test_one_failure_is_itself() -> None:
    """Also through groups in groups."""
    with pytest.raises(KeyError):
        async with open_task_group() as outer, open_task_group() as inner:
            inner.start_soon(_fail, KeyError("a"))
            del outer


async def test_a_failing_body_is_itself() -> None:
    """What the body raises comes out as it is."""
    with pytest.raises(KeyError):
        async with open_task_group():
            raise KeyError("a")


async def test_several_failures_stay_a_group() -> None:
    """None of them is hidden."""
    with pytest.raises(ExceptionGroup) as caught:
        async with open_task_group() as tasks:
            tasks.start_soon(_fail, KeyError("a"))
            tasks.start_soon(_fail, ValueError("b"))

    assert len(caught.value.exceptions) == 2
