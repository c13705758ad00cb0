"""Task groups that fail with the one exception that happened, instead of a group of one around it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup


@asynccontextmanager
async def open_task_group() -> AsyncIterator[TaskGroup]:
    """A task group whose single failure is raised as it is; several stay a group."""
    try:
        async with anyio.create_task_group() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        raise only(group) from None


def only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one exception inside nested groups of one, or the group."""
    if len(group.exceptions) > 1:
        return group
    error = group.exceptions[0]
    return only(error) if isinstance(error, BaseExceptionGroup) else error
