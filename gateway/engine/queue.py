"""The queue of all connections, sans-I/O: rows are put, batches are taken, time is an argument.

Order: live finals, then live partials and files, which lead by turns where both wait. Within one of these,
streams take turns, one row each, and a stream that had no turn yet goes first, so a short clip never waits
behind a long recording. Rows that somebody waits for, live ones and the first of each stream, form a batch
among themselves: filled up with rows of recordings it would take longer, and the clip would wait for two
batches instead of one. Every second batch takes what fits, so that recordings get on.
"""

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from gateway.engine.api import DecodeOptions, DecodeRequest, Priority
from gateway.errors import OverloadedError

NEWCOMERS_IN_A_ROW = 8
"""So many first rows may overtake a stream that waits for a turn: a rush of clips does not starve it."""

MAX_RETRY_SECONDS = 60
"""OpenAI's SDKs ignore a longer Retry-After (openai-python, `BaseClient._calculate_retry_timeout`)."""

UNKNOWN_RETRY_SECONDS = 5
"""Where no batch was taken yet, as while the model loads: an SDK's two retries then span ten seconds."""

RATE_WINDOW_BATCHES = 64
"""The recent rate is that of so many batches."""


@dataclass(eq=False, slots=True)
class Row:
    """One request in the queue; compared by identity.

    Attributes:
        stream: Whose row it is.
        replaces: A waiting row of the same stream, priority and ``replaces`` is replaced by this one; None
            replaces nothing.
        key: The batch key, set by the queue.
        alone: It was in a batch that failed, so it is decoded without others, lest it harm them again.
    """

    request: DecodeRequest
    stream: Hashable
    priority: Priority = Priority.FILE
    replaces: Hashable = None
    key: Hashable = field(default=None, init=False)
    alone: bool = field(default=False, init=False)


R = TypeVar("R", bound=Row)


class _Turns(Generic[R]):
    """The waiting rows of one priority. Dictionaries keep the order in which streams have their turn."""

    def __init__(self) -> None:
        self.again: deque[R] = deque()
        self._new: dict[Hashable, deque[R]] = {}
        self._known: dict[Hashable, deque[R]] = {}
        self._overtaken = 0

    def append(self, row: R, *, known: bool) -> None:
        """Puts a row behind those of its stream, and a stream without rows behind the other streams."""
        for group in (self._new, self._known):
            if row.stream in group:
                group[row.stream].append(row)
                return
        (self._known if known else self._new)[row.stream] = deque([row])

    def replace(self, old: R, new: R) -> None:
        """Gives ``new`` the place of ``old``: sent to the end each time, it might never be served."""
        if old in self.again:
            self.again.remove(old)
            self.append(new, known=True)
            return
        rows = self._rows_with(old)
        rows[rows.index(old)] = new

    def remove(self, row: R) -> None:
        """Takes a row out, wherever it waits."""
        if row in self.again:
            self.again.remove(row)
            return
        rows = self._rows_with(row)
        rows.remove(row)
        if not rows:
            del (self._new if row.stream in self._new else self._known)[row.stream]

    def lead(self) -> tuple[R, bool] | None:
        """Takes the row whose turn it is, and tells whether it is the first of its stream."""
        if self.again:
            return self.again.popleft(), False
        new = len(self._new)
        row = self._next(lambda _: True)
        return None if row is None else (row, len(self._new) < new)

    def fill(self, key: Hashable, *, new: bool = False) -> R | None:
        """Takes the next row that may join a batch of ``key``; other streams keep their turn.

        Args:
            new: Only the first row of a stream.
        """
        return self._next(lambda row: row.key == key, new=new)

    def _next(self, fits: Callable[[R], bool], *, new: bool = False) -> R | None:
        groups = [self._new] if new else [self._new, self._known]
        if self._overtaken >= NEWCOMERS_IN_A_ROW:
            groups.reverse()
        for group in groups:
            for stream, rows in group.items():
                if fits(rows[0]):
                    self._overtaken = self._overtaken + 1 if group is self._new and self._known else 0
                    del group[stream]
                    row = rows.popleft()
                    if rows:
                        self._known[stream] = rows
                    return row
        return None

    def _rows_with(self, row: R) -> deque[R]:
        return (self._new if row.stream in self._new else self._known)[row.stream]


class BatchQueue(Generic[R]):
    """Waiting rows, and the rule by which they become batches.

    Args:
        max_rows: With so many waiting, a stream's first row is refused. Streams under way are let in up to
            twice as many, so that a burst of new requests does not end a recording half-way. Live finals are
            let in always: they go first, their sessions have bounds of their own, and what was said is gone.
        max_batch: The most rows of one batch.
        batch_key: Rows of one batch have equal keys.
        idle_wait: Seconds a row waits for company. Rows that waited longer for a worker go at once.
    """

    def __init__(
        self, max_rows: int, max_batch: int, batch_key: Callable[[DecodeOptions], Hashable], idle_wait: float
    ) -> None:
        self._max_rows = max_rows
        self._max_batch = max_batch
        self._batch_key = batch_key
        self._idle_wait = idle_wait
        self._turns: dict[Priority, _Turns[R]] = {priority: _Turns() for priority in sorted(Priority)}
        self._since: dict[R, float] = {}
        self._replaceable: dict[Hashable, R] = {}
        # Bounded: a stream that is forgotten merely counts as new again.
        self._admitted: OrderedDict[Hashable, None] = OrderedDict()
        self._taken: deque[tuple[float, int]] = deque(maxlen=RATE_WINDOW_BATCHES)
        self._lead: Priority | None = None
        """Of the row that led the last batch."""
        self._urgent = False
        """The last batch held only rows that somebody waits for."""

    def __len__(self) -> int:
        """Rows waiting."""
        return len(self._since)

    def put(self, row: R, now: float) -> R | None:
        """Adds a row.

        Returns:
            The row it replaces, which waits no longer.

        Raises:
            OverloadedError: The queue is full.
        """
        row.key = self._batch_key(row.request.options)
        old = self._replaceable.get(_place(row)) if row.replaces is not None else None
        known = row.stream in self._admitted
        if old is not None:
            self._turns[row.priority].replace(old, row)
            self._since[row] = self._since.pop(old)
        elif row.priority is Priority.LIVE_FINAL or len(self) < self._max_rows * (2 if known else 1):
            self._turns[row.priority].append(row, known=known)
            self._since[row] = now
        else:
            raise OverloadedError("The server is busy. Try again later.", retry_after=self._retry_after(now))
        if row.replaces is not None:
            self._replaceable[_place(row)] = row
        self._admit(row.stream)
        return old

    def put_back(self, rows: list[R]) -> list[R]:
        """Adds rows again whose batch failed: before others of their priority, each for a batch alone.

        Returns:
            Those not added, as rows that replace them came meanwhile.
        """
        replaced = []
        for row in reversed(rows):
            if row.replaces is not None and self._replaceable.setdefault(_place(row), row) is not row:
                replaced.append(row)
                continue
            row.alone = True
            self._turns[row.priority].again.appendleft(row)
            self._since[row] = -math.inf
        return replaced

    def take(self, now: float) -> list[R]:
        """Forms a batch of what waits; empty before `wake_at`."""
        ripe = self.wake_at()
        if ripe is None or now < ripe:
            return []
        lead, new = next(first for turns in self._in_order() if (first := turns.lead()) is not None)
        self._lead = lead.priority
        self._urgent = (lead.priority is not Priority.FILE or new) and not self._urgent
        batch = [lead]
        if not lead.alone:
            for priority, turns in self._turns.items():
                new = self._urgent and priority is Priority.FILE
                while len(batch) < self._max_batch and (row := turns.fill(lead.key, new=new)) is not None:
                    batch.append(row)
        for row in batch:
            self._release(row)
        self._taken.append((now, len(batch)))
        return batch

    def _in_order(self) -> list[_Turns[R]]:
        """Whose row leads: partials of many microphones would otherwise keep recordings waiting for good."""
        finals, partials, files = (self._turns[priority] for priority in sorted(Priority))
        if self._lead is Priority.LIVE_PARTIAL:
            return [finals, files, partials]
        return [finals, partials, files]

    def wake_at(self) -> float | None:
        """When the next batch is due, perhaps in the past; None while nothing waits."""
        if not self._since:
            return None
        if len(self._since) >= self._max_batch:
            return -math.inf
        return min(self._since.values()) + self._idle_wait

    def discard(self, row: R) -> bool:
        """Takes out a row whose caller left. False if it did not wait (any more)."""
        if row not in self._since:
            return False
        self._forget(row)
        return True

    def clear(self) -> list[R]:
        """Takes out all rows."""
        rows = list(self._since)
        for row in rows:
            self._forget(row)
        return rows

    def _forget(self, row: R) -> None:
        self._turns[row.priority].remove(row)
        self._release(row)

    def _release(self, row: R) -> None:
        del self._since[row]
        if self._replaceable.get(_place(row)) is row:
            del self._replaceable[_place(row)]

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


def _place(row: Row) -> Hashable:
    return row.priority, row.stream, row.replaces
