"""The queue of all connections, sans-I/O: rows are put, batches are taken, time is an argument.

Order: live finals, then live partials and files, which lead by turns where both wait. Within one of these,
streams take turns, one row each, and a stream that had no turn yet goes first, the shorter its row the
sooner, so a short clip never waits for a long recording. Rows that somebody waits for, live ones and the
first of each stream, form a batch among themselves: filled up with rows of recordings it would take longer,
and the clip would wait for two batches instead of one. Every second batch takes what fits, so that
recordings get on; where nothing but finals fits, as where a call has one row, something else leads each
ninth batch.

Rows of live clients that are ahead of any speaker are among those of files, and nobody waits for the first.

Where one worker takes what somebody waits for and another one the rest, each asks for its share.
"""

import math
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable, Mapping

from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import DecodeOptions, Priority
from gateway.engine.row import Row
from gateway.engine.row_turns import RowTurns, Share
from gateway.errors import OverloadedError

FINALS_IN_A_ROW = 8
"""So many batches of live finals alone may go before whatever else waits."""

MAX_RETRY_SECONDS = 60
"""OpenAI's SDKs ignore a longer Retry-After (openai-python, `BaseClient._calculate_retry_timeout`)."""

UNKNOWN_RETRY_SECONDS = 5
"""Where no batch was taken yet, as while the model loads: an SDK's two retries then span ten seconds."""

RATE_WINDOW_BATCHES = 64
"""The recent rate is that of so many batches."""


class BatchQueue:
    """Waiting rows, and the rule by which they become batches.

    Args:
        max_rows: With so many waiting, a stream's first row is refused. Streams under way are let in up to
            twice as many, so that a burst of new requests does not end a recording half-way. Live finals are
            let in always: they go first, their sessions have bounds of their own, and what was said is gone.
        sizes: The most rows of one batch, by its key.
        batch_key: Rows of one batch have equal keys.
        idle_wait: Seconds a row waits for company. Rows that waited longer for a worker go at once.
    """

    def __init__(
        self,
        max_rows: int,
        sizes: Callable[[Hashable], int],
        batch_key: Callable[[DecodeOptions], Hashable],
        idle_wait: float,
    ) -> None:
        self._max_rows = max_rows
        self._sizes = sizes
        self._batch_key = batch_key
        self._idle_wait = idle_wait
        files = RowTurns(_due)
        self._turns: Mapping[Priority, RowTurns] = {
            Priority.LIVE_FINAL: RowTurns(),
            Priority.LIVE_PARTIAL: RowTurns(),
            Priority.FILE: files,
            Priority.AHEAD: files,
        }
        self._since: dict[Row, float] = {}
        self._depths = Counter[Priority]()
        self._replaceable: dict[Hashable, Row] = {}
        # Bounded: a stream that is forgotten merely counts as new again.
        self._admitted: OrderedDict[Hashable, None] = OrderedDict()
        self._taken: deque[tuple[float, int]] = deque(maxlen=RATE_WINDOW_BATCHES)
        self._lead: Priority | None = None
        """Of the row that led the last batch."""
        self._finals = 0
        """So many batches in a row held finals alone, though others waited."""
        self._urgent = False
        """The last batch held only rows that somebody waits for."""

    def __len__(self) -> int:
        """Rows waiting."""
        return len(self._since)

    @property
    def only(self) -> Row | None:
        """The row that waits, where there is one only."""
        return next(iter(self._since)) if len(self._since) == 1 else None

    @property
    def depths(self) -> Mapping[Priority, int]:
        """Rows waiting, by their class."""
        return {priority: self._depths[priority] for priority in Priority}

    def oldest(self, now: float) -> float:
        """Seconds that the row has waited which came first; 0 where none waits."""
        return max((now - row.put_at for row in self._since), default=0.0)

    def put(self, row: Row, now: float) -> Row | None:
        """Adds a row.

        Returns:
            The row it replaces, which waits no longer.

        Raises:
            OverloadedError: The queue is full.
        """
        row.key = self._batch_key(row.request.options)
        row.put_at = now
        row.waiting = row.span.child("queue", **{"class": row.priority.name.lower()})
        old = self._replaceable.get(row.stream) if row.is_replaceable else None
        known = row.stream in self._admitted or row.priority is Priority.AHEAD
        if old is not None:
            self._turns[row.priority].replace(old, row)
            self._since[row] = self._since.pop(old)
            self._depths[old.priority] -= 1
            old.waiting.end()
        elif row.priority is Priority.LIVE_FINAL or len(self) < self._max_rows * (2 if known else 1):
            self._turns[row.priority].append(row, known=known)
            self._since[row] = now
        else:
            raise OverloadedError(
                "The server is busy. Try again later.",
                retry_after=self._retry_after(now),
                reason="queue_full",
            )
        self._depths[row.priority] += 1
        if row.is_replaceable:
            self._replaceable[row.stream] = row
        self._admit(row.stream)
        return old

    def put_back(self, rows: list[Row], *, alone: bool = True) -> list[Row]:
        """Adds rows again whose batch failed: before others of their priority.

        Args:
            alone: Each for a batch alone, lest it harm others again.

        Returns:
            Those not added, as rows that replace them came meanwhile.
        """
        replaced = []
        for row in reversed(rows):
            if row.is_replaceable and self._replaceable.setdefault(row.stream, row) is not row:
                replaced.append(row)
                continue
            row.alone |= alone
            row.waiting = row.span.child("queue", again=True)
            self._turns[row.priority].again.appendleft(row)
            self._since[row] = -math.inf
            self._depths[row.priority] += 1
        return replaced

    def take(self, now: float, places: int = 1, share: Share = Share.ALL) -> list[Row]:
        """Forms a batch of what waits; empty before `wake_at`.

        Args:
            places: So many calls could begin now: what waits is shared among them.
        """
        ripe = self.wake_at(places, share)
        if ripe is None or now < ripe:
            return []
        lead, new = next(
            first
            for priority in self._in_order(share)
            if (first := self._turns[priority].lead(_of_class(priority, share))) is not None
        )
        batch = [lead]
        if share is not Share.REST:
            self._lead = lead.priority
            self._urgent = (lead.priority < Priority.FILE or new) and not self._urgent
        if not lead.alone:
            fitting = Share.WAITED_FOR if self._urgent and share is Share.ALL else share
            most = min(self._sizes(lead.key), math.ceil(self._waiting(share) / places))
            for priority in _classes(share):
                turns, of = self._turns[priority], _of_class(priority, fitting)
                while len(batch) < most and (row := turns.fill(lead.key, of)) is not None:
                    batch.append(row)
        for row in batch:
            self._release(row)
        if share is not Share.REST:
            finals_alone = all(row.priority is Priority.LIVE_FINAL for row in batch)
            self._finals = self._finals + 1 if finals_alone and self._others_wait(share) else 0
        self._taken.append((now, len(batch)))
        return batch

    def _in_order(self, share: Share) -> list[Priority]:
        """Whose row leads: partials of many microphones would otherwise keep recordings waiting for good."""
        if share is Share.REST:
            return _classes(share)
        others = [Priority.LIVE_PARTIAL, Priority.FILE]
        if self._lead is Priority.LIVE_PARTIAL:
            others.reverse()
        finals = [Priority.LIVE_FINAL]
        return [*others, *finals] if self._finals >= FINALS_IN_A_ROW else [*finals, *others]

    def _others_wait(self, share: Share) -> bool:
        """Rows that are no live finals."""
        return any(
            self._turns[priority].next_lead(_of_class(priority, share)) is not None
            for priority in _classes(share)
            if priority is not Priority.LIVE_FINAL
        )

    def isolates(self, share: Share = Share.ALL) -> bool:
        """The next batch is a row that is decoded without others, lest it harm them again."""
        lead = self.next_lead(share)
        return lead is not None and lead.alone

    def next_lead(self, share: Share) -> Row | None:
        """The row that would lead the next batch."""
        leads = (
            self._turns[priority].next_lead(_of_class(priority, share)) for priority in self._in_order(share)
        )
        return next((row for row in leads if row is not None), None)

    def wake_at(self, places: int = 1, share: Share = Share.ALL) -> float | None:
        """When the next batch is due, perhaps in the past; None while nothing waits."""
        lead = self.next_lead(share)
        if lead is None:
            return None
        # Who comes next finds a place of his own.
        if places > 1 or self._waiting(share) >= self._sizes(lead.key):
            return -math.inf
        return min(self._since.values()) + self._idle_wait

    def _waiting(self, share: Share) -> int:
        """Rows that wait; of a stream that had no turn yet, somebody waits for the first."""
        live = self._depths[Priority.LIVE_FINAL] + self._depths[Priority.LIVE_PARTIAL]
        waited_for = live + self._turns[Priority.FILE].new
        match share:
            case Share.WAITED_FOR:
                return waited_for
            case Share.REST:
                return len(self._since) - waited_for
        return len(self._since)

    def discard(self, row: Row) -> None:
        """Takes out a row whose caller left, if it still waits."""
        if row in self._since:
            self._forget(row)

    def clear(self) -> list[Row]:
        """Takes out all rows."""
        rows = list(self._since)
        for row in rows:
            self._forget(row)
        return rows

    def _forget(self, row: Row) -> None:
        self._turns[row.priority].remove(row)
        self._release(row)

    def _release(self, row: Row) -> None:
        del self._since[row]
        row.waiting.end()
        self._depths[row.priority] -= 1
        if self._replaceable.get(row.stream) is row:
            del self._replaceable[row.stream]

    def _admit(self, stream: Hashable) -> None:
        self._admitted[stream] = None
        self._admitted.move_to_end(stream)
        if len(self._admitted) > 4 * self._max_rows:
            self._admitted.popitem(last=False)

    def _retry_after(self, now: float) -> int:
        """Seconds in which the recent rate empties the queue."""
        rows = sum(count for _, count in self._taken)
        elapsed = now - self._taken[0][0] if self._taken else 0.0
        if not rows or elapsed <= 0:
            return UNKNOWN_RETRY_SECONDS
        return min(MAX_RETRY_SECONDS, max(1, math.ceil(len(self) * elapsed / rows)))


def _due(row: Row) -> float:
    """When the row would have been said, had that begun when it came.

    A clip need not wait for what is longer, and that waits only for clips that come while it would be said.
    """
    return row.put_at + len(row.request.samples) / SAMPLE_RATE


def _classes(share: Share) -> list[Priority]:
    """Whose rows may be among it; those that are ahead are among those of files."""
    live = [] if share is Share.REST else [Priority.LIVE_FINAL, Priority.LIVE_PARTIAL]
    return [*live, Priority.FILE]


def _of_class(priority: Priority, share: Share) -> Share:
    """What a share has of the rows of one class: of live ones, which somebody waits for, all."""
    return share if priority is Priority.FILE else Share.ALL
