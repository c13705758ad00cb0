"""Which replica may begin with what waits."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from gateway.engine.api import DecodeOptions, DecodeRequest, Priority, Replica
from gateway.engine.lanes import AllLanes, Claim, Lanes
from gateway.engine.queue import BatchQueue
from gateway.engine.row import Row
from gateway.engine.row_turns import Share

LATE = 1e9
LANES = 2


class Machine:
    """A queue, and the lanes of replicas that decode nothing."""

    def __init__(self, *shares: Share, calls_apart: int = LANES) -> None:
        self.queue = BatchQueue(100, lambda _: 1, lambda _: None, 0.0)
        self.lanes = AllLanes(self.queue, calls_apart)
        self.replicas = [SimpleNamespace(exited=False, load=0) for _ in shares]
        self.all = [
            Lanes(LANES, cast("Replica", replica), share)
            for replica, share in zip(self.replicas, shares, strict=True)
        ]
        for each in self.all:
            self.lanes.add(each)

    def put(self, *streams: str, priority: Priority = Priority.FILE) -> None:
        """A row of each of the streams waits."""
        for stream in streams:
            self.queue.put(
                Row(DecodeRequest(np.zeros(1, np.float32), DecodeOptions()), stream, priority), 0.0
            )

    @property
    def claims(self) -> list[Claim | None]:
        """Of all replicas."""
        return [self.lanes.claim(each) for each in self.all]

    def begin(self, number: int) -> list[Row]:
        """A replica takes what it may; nothing where it may take nothing."""
        claim = self.lanes.claim(self.all[number])
        batch = [] if claim is None else self.queue.take(LATE, claim.places, claim.share)
        if batch:
            self.all[number].begin(batch)
        return batch


@pytest.fixture
def machine() -> Machine:
    """An express worker and one that has the rest."""
    return Machine(Share.WAITED_FOR, Share.REST)


EXPRESS, OTHER = 0, 1
"""The replicas of `machine`."""


def streams(rows: list[Row]) -> list[object]:
    """Whose rows they are."""
    return [row.stream for row in rows]


def test_what_nobody_else_shares_is_taken_by_the_least_loaded() -> None:
    """With all its lanes and those of others, among whom what waits is divided."""
    machine = Machine(Share.ALL, Share.ALL)
    machine.put("a", "b", "c")
    assert machine.claims == [Claim(Share.ALL, 4)] * 2
    machine.begin(0)
    assert machine.claims == [None, Claim(Share.ALL, 3)]


def test_a_replica_that_is_gone_has_no_lanes() -> None:
    """The other one takes all."""
    machine = Machine(Share.ALL, Share.ALL)
    machine.put("a")
    machine.replicas[0].exited = True
    assert machine.claims == [None, Claim(Share.ALL, LANES)]


def test_a_row_to_decode_alone_waits_until_its_replica_does_nothing(machine: Machine) -> None:
    """And while it is decoded nothing else begins there."""
    machine.put("a", "a", "a", "a")
    machine.begin(EXPRESS)
    suspect = machine.begin(OTHER)
    machine.queue.put_back(suspect)
    assert machine.lanes.claim(machine.all[OTHER]) is None
    machine.all[OTHER].end(suspect)
    again = machine.begin(OTHER)
    assert again == suspect
    assert again[0].alone
    assert machine.begin(OTHER) == []
    machine.all[OTHER].end(again)
    assert streams(machine.begin(OTHER)) == ["a"]


def test_each_has_its_share(machine: Machine) -> None:
    """The express worker the first of each stream, the other one the rest."""
    machine.put("a", "a", "a", "b")
    assert streams(machine.begin(EXPRESS) + machine.begin(EXPRESS)) == ["a", "b"]
    assert streams(machine.begin(OTHER) + machine.begin(OTHER)) == ["a", "a"]


def test_one_that_serves_alone_takes_all(machine: Machine) -> None:
    """Whatever its share is."""
    machine.lanes.remove(machine.all[EXPRESS])
    machine.put("a", "b")
    assert machine.lanes.claim(machine.all[OTHER]) == Claim(Share.ALL, LANES)


def test_the_last_row_is_the_express_workers(machine: Machine) -> None:
    """It has all cores, and nobody else wants them."""
    machine.put("a", "a")
    machine.all[EXPRESS].end(machine.begin(EXPRESS))
    assert machine.begin(OTHER) == []
    assert streams(machine.begin(EXPRESS)) == ["a"]


def test_a_row_behind_the_first_does_not_wait_for_it(machine: Machine) -> None:
    """Two rows at a time, each by its worker, are done sooner than one after the other by all threads."""
    machine.put("a", "a")
    assert streams(machine.begin(EXPRESS)) == ["a"]
    assert machine.begin(EXPRESS) == []
    assert streams(machine.begin(OTHER)) == ["a"]


def test_no_partial_begins_beside_a_live_final() -> None:
    """But another final does, and so does a final beside a partial."""
    machine = Machine(Share.WAITED_FOR, Share.REST, calls_apart=1)
    machine.put("mic", priority=Priority.LIVE_FINAL)
    final = machine.begin(EXPRESS)
    machine.put("other mic", priority=Priority.LIVE_PARTIAL)
    assert machine.begin(EXPRESS) == []
    machine.put("third mic", priority=Priority.LIVE_FINAL)
    second = machine.begin(EXPRESS)
    assert streams(final + second) == ["mic", "third mic"]
    for done in (final, second):
        assert machine.begin(EXPRESS) == []
        machine.all[EXPRESS].end(done)
    partial = machine.begin(EXPRESS)
    machine.put("mic", priority=Priority.LIVE_FINAL)
    assert streams(partial + machine.begin(EXPRESS)) == ["other mic", "mic"]


def test_a_partial_begins_where_there_are_cores_for_it() -> None:
    """Or where recordings are decoded in the same lanes anyway."""
    for shares, calls_apart in (((Share.WAITED_FOR, Share.REST), 2), ((Share.ALL,), 1)):
        machine = Machine(*shares, calls_apart=calls_apart)
        machine.put("mic", priority=Priority.LIVE_FINAL)
        machine.put("other mic", priority=Priority.LIVE_PARTIAL)
        assert streams(machine.begin(0) + machine.begin(0)) == ["mic", "other mic"]


def test_a_live_session_keeps_no_recording_waiting(machine: Machine) -> None:
    """What it has decoded is no row of the recording."""
    machine.put("a", "a")
    machine.all[EXPRESS].end(machine.begin(EXPRESS))
    machine.put("mic", priority=Priority.LIVE_FINAL)
    assert streams(machine.begin(EXPRESS)) == ["mic"]
    assert streams(machine.begin(OTHER)) == ["a"]


def test_beside_other_rows_the_last_one_is_no_exception(machine: Machine) -> None:
    """The cores are in use."""
    machine.put("a", "a", "a", "a")
    machine.begin(EXPRESS)
    machine.begin(OTHER)
    running = machine.begin(OTHER)
    assert machine.claims == [Claim(Share.WAITED_FOR, 1), None]
    machine.all[OTHER].end(running)
    assert streams(machine.begin(OTHER)) == ["a"]


def test_a_suspected_row_is_kept_from_the_express_worker(machine: Machine) -> None:
    """Whatever ended its worker would end live sessions' rows as well."""
    machine.put("a", "a")
    machine.all[EXPRESS].end(machine.begin(EXPRESS))
    suspect = machine.begin(EXPRESS)
    machine.all[EXPRESS].end(suspect)
    machine.queue.put_back(suspect)
    assert machine.begin(EXPRESS) == []
    assert machine.begin(OTHER) == suspect
