"""How many replicas a model is to have. Sans-I/O: what there is to do comes in, time is an argument."""

import math

from gateway.engine.ray.messages import Placement

RISE = 0.5
"""While rows wait, there are this share more replicas each time, and at least one."""


class Scaling:
    """More replicas while rows wait, fewer when those that are left would be half idle still.

    Args:
        lanes: Engine calls that a replica has under way at once.
    """

    def __init__(self, placement: Placement, lanes: int) -> None:
        self._placement = placement
        self._lanes = lanes
        self._waited_since: float | None = None
        self._needed: list[tuple[float, int]] = []
        """When how many replicas would have been enough, newest last; the first is older than the window."""
        self.wanted = placement.least

    def observe(self, now: float, *, serving: int, waiting: int, busy: int) -> int:
        """Takes a look into account.

        Args:
            serving: Replicas that take rows.
            waiting: Rows that wait in the gateways' queues.
            busy: Engine calls under way.

        Returns:
            How many replicas there should be.
        """
        place = self._placement
        # Half idle is what is left for those who come next.
        self._note_need(now, self.wanted if waiting else math.ceil(2 * busy / self._lanes))
        if not waiting:
            self._waited_since = None
        elif self._waited_since is None:
            self._waited_since = now
        elif serving >= self.wanted and now - self._waited_since >= place.up_seconds:
            # Not before those that were asked for are there: their effect is to be seen first.
            self.wanted = min(place.most, self.wanted + max(1, int(self.wanted * RISE)))
            self._waited_since = now
            self._needed = [(now, self.wanted)]
        if self._needed[0][0] <= now - place.down_seconds and self._peak(now) < self.wanted:
            self.wanted = max(place.least, self._peak(now))
        self.wanted = min(place.most, max(place.least, self.wanted))
        return self.wanted

    def _note_need(self, now: float, need: int) -> None:
        self._needed.append((now, need))
        # The last look before the window stays, to tell that the window is covered.
        while len(self._needed) > 1 and self._needed[1][0] <= now - self._placement.down_seconds:
            self._needed.pop(0)

    def _peak(self, now: float) -> int:
        """The most replicas that were needed at any look within the time after which one goes."""
        begin = now - self._placement.down_seconds
        return max((need for at, need in self._needed if at >= begin), default=0)
