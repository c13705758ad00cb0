"""The waiting rows of one priority: whose turn it is, sans-I/O."""

from collections import deque
from collections.abc import Callable, Hashable
from enum import Enum, auto

from gateway.engine.row import Row

NEWCOMERS_IN_A_ROW = 8
"""So many first rows may overtake a stream that waits for a turn: a rush of clips does not starve it."""


class Share(Enum):
    """Which of the waiting rows a worker takes."""

    ALL = auto()
    WAITED_FOR = auto()
    """By somebody who looks at the screen: live ones, and the first of each recording."""
    REST = auto()


class RowTurns:
    """The waiting rows of one priority. Dictionaries keep the order in which streams have their turn.

    Args:
        due: When the first row of a stream is, in seconds: the earliest goes first; None: the one that came.
    """

    def __init__(self, due: Callable[[Row], float] | None = None) -> None:
        self._due = due
        self.again: deque[Row] = deque()
        self._new: dict[Hashable, deque[Row]] = {}
        self._known: dict[Hashable, deque[Row]] = {}
        self._overtaken = 0

    def append(self, row: Row, *, known: bool) -> None:
        """Puts a row after those of its stream, and a stream without rows after the other streams."""
        for group in (self._new, self._known):
            if row.stream in group:
                group[row.stream].append(row)
                return
        (self._known if known else self._new)[row.stream] = deque([row])
        if self._due is not None and not known:
            # Kept in order, as it is looked at far more often than somebody comes.
            due = self._due
            self._new = dict(sorted(self._new.items(), key=lambda of_stream: due(of_stream[1][0])))

    def replace(self, old: Row, new: Row) -> None:
        """Gives ``new`` the place of ``old``: sent to the end each time, it might never be served."""
        if old in self.again:
            self.again.remove(old)
            self.append(new, known=True)
            return
        rows = self._rows_with(old)
        rows[rows.index(old)] = new

    def remove(self, row: Row) -> None:
        """Takes a row out, wherever it waits."""
        if row in self.again:
            self.again.remove(row)
            return
        rows = self._rows_with(row)
        rows.remove(row)
        if not rows:
            del (self._new if row.stream in self._new else self._known)[row.stream]

    @property
    def new(self) -> int:
        """Streams that had no turn yet."""
        return len(self._new)

    def lead(self, share: Share) -> tuple[Row, bool] | None:
        """Takes the row whose turn it is, and tells whether it is the first of its stream."""
        if self.again and share is not Share.WAITED_FOR:
            return self.again.popleft(), False
        new = len(self._new)
        row = self._next(lambda _: True, share)
        return None if row is None else (row, len(self._new) < new)

    def next_lead(self, share: Share) -> Row | None:
        """The row that `lead` would take."""
        if self.again and share is not Share.WAITED_FOR:
            return self.again[0]
        return next((rows[0] for group in self._groups(share) for rows in group.values()), None)

    def fill(self, key: Hashable, share: Share) -> Row | None:
        """Takes the next row that may join a batch of ``key``; other streams keep their turn."""
        return self._next(lambda row: row.key == key, share)

    def _next(self, fits: Callable[[Row], bool], share: Share) -> Row | None:
        for group in self._groups(share):
            for stream, rows in group.items():
                if fits(rows[0]):
                    self._overtaken = self._overtaken + 1 if group is self._new and self._known else 0
                    del group[stream]
                    row = rows.popleft()
                    if rows:
                        self._known[stream] = rows
                    return row
        return None

    def _groups(self, share: Share) -> list[dict[Hashable, deque[Row]]]:
        match share:
            case Share.WAITED_FOR:
                return [self._new]
            case Share.REST:
                return [self._known]
        groups = [self._new, self._known]
        return groups[::-1] if self._overtaken >= NEWCOMERS_IN_A_ROW else groups

    def _rows_with(self, row: Row) -> deque[Row]:
        return (self._new if row.stream in self._new else self._known)[row.stream]
