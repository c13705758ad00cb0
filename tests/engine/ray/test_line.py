"""What waits in a shared replica shares engine calls as far as it fits, unless it is suspected."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.engine.ray.line import Line, Waiting


def rows_of(batch: list[Waiting]) -> list[int]:
    """So many of each call."""
    return [call.rows for call in batch]


def test_calls_of_several_gateways_share_a_batch() -> None:
    """As many as fit; what does not fit waits for the next one."""
    line = Line(1, 4)
    for rows in (2, 1, 2, 1):
        line.put(Waiting(rows, "key"))
    first = line.take()

    assert rows_of(first) == [2, 1, 1]
    assert line.take() == []
    line.done(first)
    assert rows_of(line.take()) == [2]


def test_keys_do_not_mix() -> None:
    """Rows that are searched otherwise wait for a call of their own, behind those that came first."""
    line = Line(2, 8)
    for key in ("a", "b", "a"):
        line.put(Waiting(1, key))

    assert [call.key for call in line.take()] == ["a", "a"]
    assert [call.key for call in line.take()] == ["b"]


def test_a_call_is_never_split() -> None:
    """One that is larger than a batch is decoded as it came."""
    line = Line(1, 4)
    line.put(Waiting(9, "key"))
    line.put(Waiting(1, "key"))

    assert rows_of(line.take()) == [9]


def test_a_suspect_runs_alone() -> None:
    """It waits for what runs, nothing overtakes it, and nothing begins beside it."""
    line = Line(2, 8)
    line.put(Waiting(1, "key"))
    running = line.take()
    line.put(Waiting(1, "key", alone=True))
    line.put(Waiting(1, "key"))

    assert line.take() == []
    line.done(running)
    [suspect] = line.take()
    assert suspect.alone
    assert line.take() == []
    line.done([suspect])
    assert len(line.take()) == 1


def test_what_nobody_waits_for_is_not_decoded() -> None:
    """Unless it has begun."""
    line = Line(1, 8)
    begun, waiting = Waiting(1, "key"), Waiting(2, "key")
    line.put(begun)
    line.take()
    line.put(waiting)

    assert (line.rows, line.busy) == (3, 1)
    assert not line.discard(begun)
    assert line.discard(waiting)
    assert (line.rows, line.busy) == (1, 1)


@given(
    st.lists(st.tuples(st.integers(1, 5), st.sampled_from("ab"), st.booleans()), max_size=30),
    st.integers(1, 3),
)
def test_every_call_is_decoded_once(calls: list[tuple[int, str, bool]], lanes: int) -> None:
    """Whatever comes, in no more lanes and no larger batches than there are."""
    line = Line(lanes, 6)
    put = [Waiting(rows, key, alone) for rows, key, alone in calls]
    for call in put:
        line.put(call)
    decoded: list[Waiting] = []
    running: list[list[Waiting]] = []
    while batch := line.take() or (running and [None]):
        if batch == [None]:
            line.done(running.pop(0))
            continue
        taken = [call for call in batch if call is not None]
        running.append(taken)
        decoded += taken

        assert len({call.key for call in taken}) == 1
        assert sum(call.rows for call in taken) <= 6
        assert len(running) <= lanes
        if any(call.alone for each in running for call in each):
            assert sum(len(each) for each in running) == 1
    assert sorted(map(id, decoded)) == sorted(map(id, put))
    assert line.rows == 0
