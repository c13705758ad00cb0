"""The calls that replicas have under way, and what each may take of the waiting rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.engine.api import Priority, Replica
from gateway.engine.queue import BatchQueue
from gateway.engine.row import Row
from gateway.engine.row_turns import Share
from gateway.errors import WorkerLostError


class Lanes:
    """The calls that one replica has under way.

    Attributes:
        share: What it takes of the waiting rows, as long as others take the rest.
        is_isolated: The one that runs must stay alone.
        error: What ended them all.
    """

    def __init__(self, count: int, replica: Replica, share: Share) -> None:
        self._count = count
        self._replica = replica
        self._calls: list[Sequence[Row]] = []
        self.share = share
        self.is_isolated = False
        self.error: WorkerLostError | None = None

    @property
    def running(self) -> int:
        """So many calls are under way."""
        return len(self._calls)

    @property
    def free(self) -> int:
        """So many calls may begin."""
        return 0 if self.is_isolated or self._replica.exited else self._count - self.running

    @property
    def rows(self) -> int:
        """Of all calls under way."""
        return sum(map(len, self._calls))

    @property
    def load(self) -> int:
        """Rows that the replica decodes, for us or for others."""
        return self.rows + self._replica.load

    @property
    def has_live_final(self) -> bool:
        """One of the calls has what somebody has said to the end."""
        return any(row.priority is Priority.LIVE_FINAL for batch in self._calls for row in batch)

    def begin(self, batch: Sequence[Row]) -> None:
        """A call begins."""
        self._calls.append(batch)
        self.is_isolated = batch[0].alone

    def end(self, batch: Sequence[Row]) -> None:
        """A call has ended."""
        self._calls.remove(batch)
        self.is_isolated = False


@dataclass(frozen=True, slots=True)
class Claim:
    """What a replica may take of the waiting rows.

    Attributes:
        places: So many calls could begin now, its own and those of others with the same share.
    """

    share: Share
    places: int


class AllLanes:
    """The lanes of all replicas that serve, and whose turn it is.

    Args:
        queue: Where the rows wait.
        calls_apart: So many calls of a replica take no cores from each other.
    """

    def __init__(self, queue: BatchQueue, calls_apart: int) -> None:
        self._queue = queue
        self._calls_apart = calls_apart
        self._lanes: list[Lanes] = []

    def __len__(self) -> int:
        """Replicas that serve."""
        return len(self._lanes)

    def __iter__(self) -> Iterator[Lanes]:
        return iter(self._lanes)

    def add(self, lanes: Lanes) -> None:
        """A replica serves."""
        self._lanes.append(lanes)

    def remove(self, lanes: Lanes) -> None:
        """It serves no more."""
        self._lanes.remove(lanes)

    def claim(self, lanes: Lanes) -> Claim | None:
        """What a replica may begin with now; None: it has no lane for it, or the row is for another one."""
        equals = [each for each in self._lanes if each.share is lanes.share]
        share = lanes.share if len(equals) < len(self._lanes) else Share.ALL
        if share is not Share.ALL and self._is_for_express():
            if share is Share.REST:
                return None
            share = Share.ALL
        able = [each for each in equals if self._may_begin(each, share)]
        if lanes not in able or any(each.load < lanes.load for each in able):
            return None
        return Claim(share, sum(each.free for each in equals))

    def _may_begin(self, lanes: Lanes, share: Share) -> bool:
        """The replica could take the next batch."""
        if share is Share.WAITED_FOR and lanes.has_live_final and lanes.running >= self._calls_apart:
            lead = self._queue.next_lead(share)
            if lead is not None and lead.priority is Priority.LIVE_PARTIAL:
                return False  # both would take about twice as long, and the final is waited for more
        return lanes.free > 0 and not (lanes.running and self._queue.isolates(share))

    def _is_for_express(self) -> bool:
        """One row waits, and nothing is under way.

        That is the last of a recording. The worker that has the rest would decode it by one thread while the
        other cores do nothing; the express worker has them all.
        """
        row = self._queue.only
        if row is None or row.alone or any(each.running for each in self._lanes):
            return False
        express = [each for each in self._lanes if each.share is Share.WAITED_FOR]
        return any(each.free for each in express)
