"""A gateway's view of a model's replicas: which there are, as their keeper says, and which are taken."""

import logging
import random
import uuid
from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup

from gateway.aio import Changed
from gateway.engine.ray import actors
from gateway.engine.ray.messages import Member, Offer, Roster
from gateway.errors import LoadFailedError

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 0.5
"""Between two attempts to reach the keeper."""

NEWS_SECONDS = 5.0
"""A keeper that owes an answer for so long is asked anew; rows go on to the replicas that are known."""

LEAVE_SECONDS = 1.0
"""For saying goodbye."""


class Pool:
    """The replicas of one model. Each is taken by one `RayReplica` of this gateway at a time.

    Args:
        offer: How this gateway would have the model served.
        waiting: Rows in this gateway's queue, by which their number is chosen.

    Attributes:
        edge: This gateway's name among those who share the replicas.
    """

    def __init__(self, offer: Offer, namespace: str) -> None:
        self._offer = offer
        self._namespace = namespace
        self.edge = uuid.uuid4().hex
        self.waiting: Callable[[], int] = lambda: 0
        self._roster = Roster("", -1)
        self._refused: str | None = None
        self._taken: dict[str, Callable[[], None]] = {}
        self._is_followed = False
        self._changed = Changed()

    def follow(self, tasks: TaskGroup) -> None:
        """Has ``tasks`` keep up with the keeper, unless it is done already."""
        if not self._is_followed:
            self._is_followed = True
            tasks.start_soon(self._follow)

    async def acquire(self, *, on_wait: Callable[[], None], on_leave: Callable[[], None]) -> Member:
        """Takes a replica that nobody here has; waits until there is one.

        Args:
            on_wait: Called when all that there are have been taken.
            on_leave: Called when the replica is to get no rows any more.

        Raises:
            LoadFailedError: No replica can load the engine.
        """
        while True:
            free = [member for member in self._roster.members if member.name not in self._taken]
            if free:
                # Gateways that all began with the same one would wait there for each other.
                member = random.choice(free)  # noqa: S311 - nothing secret
                self._taken[member.name] = on_leave
                return member
            if self._refused is not None:
                raise LoadFailedError("another version", self._refused)
            if (failure := self._roster.failure) is not None:
                raise LoadFailedError(failure.kind, failure.reason)
            if self._roster.members:
                on_wait()
            await self._changed.wait()

    def release(self, member: Member) -> None:
        """Gives a replica back; it may be taken again."""
        if self._taken.pop(member.name, None) is not None:
            self._changed.notify()

    async def _follow(self) -> None:
        keeper = None
        try:
            while True:
                try:
                    keeper = await anyio.to_thread.run_sync(
                        actors.get_keeper, self._offer.model, self._namespace, abandon_on_cancel=True
                    )
                    await self._obey(keeper)
                except Exception as error:  # noqa: BLE001 - Ray's errors have no common base but this
                    logger.warning("keeper of %s lost: %s", self._offer.model, actors.first_line(error))
                await anyio.sleep(AGAIN_SECONDS)
        finally:
            self._is_followed = False
            if keeper is not None:
                with anyio.CancelScope(shield=True), anyio.move_on_after(LEAVE_SECONDS):
                    try:
                        await keeper.leave.remote(self.edge)
                    except Exception as error:  # noqa: BLE001 - as above
                        logger.debug("no goodbye: %s", error)

    async def _obey(self, keeper: object) -> None:
        """Takes the keeper's word for which replicas there are, until it is another one's."""
        self._refused = await keeper.join.remote(self._offer)  # type: ignore[attr-defined]  # an actor's handle
        if self._refused is not None:
            self._changed.notify()
            await anyio.sleep(NEWS_SECONDS)
            return
        seen, who = -1, ""
        while True:
            with anyio.fail_after(NEWS_SECONDS):
                roster: Roster = await keeper.watch.remote(self.edge, seen, self.waiting())  # type: ignore[attr-defined]  # the same
            if who and roster.keeper != who:
                return  # Ray started it again: it is told the offer once more
            if roster.version != seen:
                self._take(roster, is_first=not who)
            seen, who = roster.version, roster.keeper

    def _take(self, roster: Roster, *, is_first: bool) -> None:
        if is_first and not roster.members and roster.failure is None and self._roster.members:
            return  # a keeper that was started again has not found them yet
        if roster.warning and roster.warning != self._roster.warning:
            logger.error("model %s: a newer revision cannot be loaded: %s", self._offer.model, roster.warning)
        self._roster = roster
        names = {member.name for member in roster.members}
        for name in [name for name in self._taken if name not in names]:
            self._taken[name]()
        self._changed.notify()
