"""What waits to be worked on: in order, in pieces worth a thread, never more than is allowed."""

import anyio
import pytest
from anyio.lowlevel import checkpoint

from gateway.aio import Changed
from gateway.errors import OverloadedError
from gateway.flow.inbox import MAX_ENTRIES, Finish, Inbox, Task, Waiting
from gateway.metrics import Metrics
from gateway.transcript.commands import Append, Clear, Commit, Configure


def make(max_waiting_bytes: int, metrics: Metrics | None = None) -> Inbox:
    """An empty one."""
    return Inbox(Waiting(max_waiting_bytes, 1 << 40, metrics or Metrics()), Changed())


async def take_all(inbox: Inbox, least: int, most: int) -> list[Task]:
    """What can be had at once."""
    taken: list[Task] = []
    with anyio.move_on_after(0):
        while True:
            taken.append(await inbox.take(least, most))
    return taken


async def test_order_is_kept() -> None:
    """Audio and commands come out as they went in; pieces are joined, but not across a command."""
    inbox = make(100)
    configure = Configure({"a": 1}, "e")
    for entry in (b"12", b"345", Commit(None), b"6", configure, Clear(), b"789"):
        inbox.put(Append(entry) if isinstance(entry, bytes) else entry)

    assert await take_all(inbox, 1, 100) == [b"12345", Commit(None), b"6", configure, Clear(), b"789"]
    assert len(inbox) == 0


async def test_pieces_have_a_size() -> None:
    """At least so much, unless a command waits behind; at most so much."""
    inbox = make(1000)
    inbox.put(Append(b"x" * 25))

    assert await take_all(inbox, 10, 10) == [b"x" * 10] * 2
    inbox.put(Clear())
    assert await take_all(inbox, 10, 10) == [b"x" * 5, Clear()]


@pytest.mark.parametrize("empty", [b"", b"x"])
async def test_nothing_is_stuck(empty: bytes) -> None:
    """Not even behind an append of nothing."""
    inbox = make(1000)
    inbox.put(Append(empty))
    inbox.put(Commit("a"))

    assert (await take_all(inbox, 10, 10))[-1] == Commit("a")
    assert len(inbox) == 0


async def test_take_waits() -> None:
    """Until there is enough, or a command."""
    inbox = make(1000)
    taken: list[Task] = []

    async def take() -> None:
        while True:
            taken.append(await inbox.take(4, 100))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        for data, known in ((b"12", 0), (b"3", 0), (b"45", 1), (b"6", 1)):
            inbox.put(Append(data))
            await anyio.wait_all_tasks_blocked()

            assert len(taken) == known
        inbox.put(Clear())
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert taken == [b"12345", b"6", Clear()]


async def test_too_much_is_refused() -> None:
    """The limit itself is allowed; what is refused is not kept, what is taken or forgotten makes room."""
    metrics = Metrics()
    inbox = make(10, metrics)
    inbox.put(Append(b"x" * 10))
    with pytest.raises(OverloadedError):
        inbox.put(Append(b"y"))
    assert await inbox.take(1, 4) == b"xxxx"
    assert metrics.registry.get_sample_value("gateway_live_waiting_bytes") == 6
    inbox.put(Append(b"yyyy"))
    inbox.close()
    await checkpoint()

    assert metrics.registry.get_sample_value("gateway_live_waiting_bytes") == 0
    assert len(inbox) == 0
    inbox.put(Append(b"z" * 10))


async def test_one_budget_for_all() -> None:
    """Where all together have too much, whoever has more than an even share is refused."""
    waiting = Waiting(1000, 120, Metrics())
    greedy, other, microphone = (Inbox(waiting, Changed()) for _ in range(3))
    greedy.put(Append(b"x" * 90))
    other.put(Append(b"x" * 30))
    microphone.put(Append(b"x" * 40))
    for inbox in (greedy, other, microphone):
        with pytest.raises(OverloadedError, match="all sessions"):
            inbox.put(Append(b"x" * 11))
    greedy.close()
    other.put(Append(b"x" * 30))

    assert await other.take(1, 100) == b"x" * 60


async def test_commands_are_bounded() -> None:
    """Thousands of them cost the server memory, and their sender nothing."""
    inbox = make(1)
    for _ in range(MAX_ENTRIES):
        inbox.put(Clear())
    with pytest.raises(OverloadedError):
        inbox.put(Clear())

    assert await inbox.take(1, 1) == Clear()
    inbox.put(Clear())
    inbox.put(Finish())

    assert len(inbox) == MAX_ENTRIES + 1
