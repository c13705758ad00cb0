"""Who keeps a model's replicas: a Ray actor that starts, counts, replaces and ends them for all gateways.

It decodes nothing and passes nothing on: gateways call the replicas themselves, and go on with those that
they know while Ray starts a lost keeper again. Such a one finds the replicas by their names; how they are
made the gateways tell it anew.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from gateway.engine.ray import actors
from gateway.engine.ray.messages import PROTOCOL, Load, LoadFailure, Member, Offer, Ready, Roster
from gateway.engine.ray.rollout import Stage, Standing, plan
from gateway.engine.ray.scaling import Scaling

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""How often replicas are asked what they have to do."""

ANSWER_SECONDS = 2.0
"""For that answer; a replica that owes it is asked again, but counts as busy."""

POLL_SECONDS = 1.0
"""A gateway that asks for news is answered after so long at the latest; it tells what waits when it asks."""

FORGOTTEN_SECONDS = 10.0
"""What a gateway that was not heard of for so long said of its queue counts no more."""

DRAIN_SECONDS = 60.0
"""A replica that gets no new rows is ended after so long at the latest."""

FAILURES = 3
"""After so many replicas in a row that could not be loaded no more are started until somebody offers anew."""


@dataclass(eq=False, slots=True)
class _Kept:
    """A replica and how it fares.

    Attributes:
        placed: It has answered, so it has a place on a node.
        idle_looks: So many looks in a row found nothing to do in it.
    """

    member: Member
    began: float
    stage: Stage = Stage.STARTING
    placed: bool = False
    load: Load | None = None
    answered: float = 0.0
    left_at: float = 0.0
    idle_looks: int = 0


@dataclass(slots=True)
class _Edge:
    """What a gateway said last."""

    at: float
    waiting: int = 0


@dataclass(slots=True)
class _Failed:
    """What could not be loaded."""

    in_a_row: int = 0
    last: LoadFailure | None = field(default=None)


class Keeper:
    """See the module. Methods are called by Ray, several at a time on one event loop.

    Args:
        model: Whose replicas it keeps.
        namespace: Ray's, where their names are.
    """

    def __init__(self, model: str, namespace: str) -> None:
        self._model = model
        self._namespace = namespace
        self._id = uuid.uuid4().hex
        self._offer: Offer | None = None
        self._scaling: Scaling | None = None
        self._kept: dict[str, _Kept] = {}
        self._edges: dict[str, _Edge] = {}
        self._failed = _Failed()
        self._roster = Roster(self._id, 0)
        self._changed = asyncio.Event()
        self._heard = time.monotonic()
        self._tasks: set[asyncio.Task[None]] = set()
        # Also where Ray starts it again while no gateway is left to ask for anything.
        actors.call_self("run")

    async def join(self, offer: Offer) -> str | None:
        """A gateway says how it would have the model served. Returns why it cannot take part, if so."""
        self._heard = time.monotonic()
        if offer.protocol != PROTOCOL:
            return (
                f"the replicas of '{self._model}' on this cluster are of another version of the gateway: "
                "give this one a namespace of its own (GATEWAY_RAY_NAMESPACE)"
            )
        known = self._offer
        if known is None or offer.revision > known.revision:
            self._offer = offer
            self._scaling = Scaling(offer.placement, offer.recipe.lanes)
            self._failed = _Failed()
            if known is None:
                self._find_own()
            self._changed.set()
        elif self._failed.last is not None and offer.revision == known.revision:
            # Whoever comes anew wants it tried anew.
            self._failed = _Failed()
        return None

    async def watch(self, edge: str, seen: int, waiting: int) -> Roster:
        """The replicas, once they are others than those of version ``seen``, or after a second.

        Args:
            edge: Who asks.
            waiting: Rows in its queue.
        """
        self._heard = time.monotonic()
        self._edges[edge] = _Edge(self._heard, waiting)
        deadline = self._heard + POLL_SECONDS
        while self._roster.version == seen and (left := deadline - time.monotonic()) > 0:
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                break
        return self._roster

    async def leave(self, edge: str) -> None:
        """A gateway ends."""
        self._edges.pop(edge, None)

    async def run(self) -> None:
        """Looks after the replicas until no gateway is left; then there are none, and this actor ends."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            offer = self._offer
            linger = offer.placement.linger if offer else DRAIN_SECONDS
            if time.monotonic() - self._heard > linger:
                break
            if offer is not None:
                try:
                    await self._look(offer)
                except Exception:
                    # Whatever Ray says just now: the next look may go well.
                    logger.exception("looking after %s failed", self._model)
        logger.warning("no gateway is left: the replicas of %s end", self._model)
        self._find_own()
        for kept in self._kept.values():
            actors.end(kept.member.handle)
        actors.end_self()

    async def _look(self, offer: Offer) -> None:
        await asyncio.gather(*(self._ask(kept) for kept in self._kept.values()))
        now = time.monotonic()
        self._edges = {name: edge for name, edge in self._edges.items() if edge.at > now - FORGOTTEN_SECONDS}
        standings = [
            Standing(
                name, kept.stage, kept.member.revision >= offer.revision, placed=kept.placed, since=kept.began
            )
            for name, kept in self._kept.items()
        ]
        serving = [kept for kept in self._kept.values() if kept.stage is Stage.SERVING]
        assert self._scaling is not None  # noqa: S101 - made with the offer
        wanted = self._scaling.observe(
            now,
            serving=len(serving),
            waiting=sum(edge.waiting for edge in self._edges.values()),
            busy=sum(kept.load.busy if kept.load else 0 for kept in serving),
        )
        steps = plan(standings, wanted, now)
        if self._failed.in_a_row < FAILURES:
            for _ in range(steps.start):
                self._start(offer, now)
        for name in steps.retire:
            self._retire(self._kept[name], now)
        self._end_drained(now)
        self._publish(offer)

    async def _ask(self, kept: _Kept) -> None:
        try:
            load = await asyncio.wait_for(_answer(kept.member.handle.load.remote()), ANSWER_SECONDS)
        except TimeoutError:
            kept.idle_looks = 0
            self._end_silent(kept)
        except Exception as error:  # noqa: BLE001 - Ray's errors have no common base but this
            kept.idle_looks = 0
            if actors.is_gone(error):
                self._lose(kept, error)
        else:
            if kept.load is not None and kept.load.incarnation != load.incarnation:
                logger.warning("replica %s was started again", kept.member.name)
            kept.load, kept.placed, kept.answered = load, True, time.monotonic()
            kept.idle_looks = 0 if load.rows else kept.idle_looks + 1

    def _end_silent(self, kept: _Kept) -> None:
        """One that hangs so that not even its watch runs: Ray starts it again."""
        offer = self._offer
        if offer is None or not kept.placed or kept.stage is Stage.STARTING:
            return
        if time.monotonic() - kept.answered > offer.recipe.options.row_timeout:
            logger.error("replica %s does not answer: started again", kept.member.name)
            kept.answered = time.monotonic()
            actors.restart(kept.member.handle)

    def _start(self, offer: Offer, now: float) -> None:
        name = actors.replica_name(self._model, offer.revision, uuid.uuid4().hex[:8])
        handle = actors.create_replica(name, self._namespace, offer)
        self._keep(_Kept(Member(name, handle, offer.revision), now))

    def _keep(self, kept: _Kept) -> None:
        self._kept[kept.member.name] = kept
        self._spawn(self._until_loaded(kept))

    async def _until_loaded(self, kept: _Kept) -> None:
        """Whatever node it is on, the replica serves once its engine is loaded."""
        try:
            answer = await kept.member.handle.describe.remote()
        except Exception as error:  # noqa: BLE001 - as in `_ask`
            if not actors.is_gone(error):
                # Lost while it loaded; Ray starts it again.
                await asyncio.sleep(LOOK_SECONDS)
                if kept.member.name in self._kept:
                    self._spawn(self._until_loaded(kept))
                return
            self._fail(kept, LoadFailure(type(error).__name__, actors.first_line(error)))
            return
        match answer:
            case Ready():
                if kept.stage is Stage.STARTING:
                    kept.stage = Stage.SERVING
                self._failed = _Failed()
            case LoadFailure() as failure:
                self._fail(kept, failure)
        if self._offer is not None:
            self._publish(self._offer)

    def _fail(self, kept: _Kept, failure: LoadFailure) -> None:
        logger.error("replica %s: %s", kept.member.name, failure.reason)
        self._failed = _Failed(self._failed.in_a_row + 1, failure)
        self._kept.pop(kept.member.name, None)
        actors.end(kept.member.handle)
        if self._offer is not None:
            self._publish(self._offer)

    def _lose(self, kept: _Kept, error: Exception) -> None:
        """It is gone for good: somebody ended it, or it never came to be."""
        if kept.stage is Stage.STARTING:
            return  # `_until_loaded` is told, too
        logger.warning("replica %s is gone: %s", kept.member.name, actors.first_line(error))
        self._kept.pop(kept.member.name, None)

    def _retire(self, kept: _Kept, now: float) -> None:
        kept.stage, kept.left_at, kept.idle_looks = Stage.LEAVING, now, 0

    def _end_drained(self, now: float) -> None:
        for name, kept in list(self._kept.items()):
            # Two looks: what was sent before the gateways knew is in it by the second.
            drained = kept.idle_looks >= 2 and now - kept.left_at >= 2 * POLL_SECONDS
            late = now - kept.left_at > DRAIN_SECONDS
            if kept.stage is Stage.LEAVING and (drained or late or not kept.placed):
                actors.end(kept.member.handle)
                del self._kept[name]

    def _publish(self, offer: Offer) -> None:
        """Tells the gateways, if there is something new."""
        members = tuple(kept.member for kept in self._kept.values() if kept.stage is Stage.SERVING)
        starting = any(kept.stage is Stage.STARTING for kept in self._kept.values())
        last = self._failed.last
        failure = last if not members and not starting else None
        warning = last.reason if last is not None and members else None
        names = [member.name for member in members]
        if names != [each.name for each in self._roster.members] or (failure, warning) != (
            self._roster.failure,
            self._roster.warning,
        ):
            self._roster = Roster(self._id, self._roster.version + 1, members, failure, warning)
            self._changed.set()
            self._changed = asyncio.Event()
            logger.info("%s, revision %d: %d replicas", self._model, offer.revision, len(members))

    def _find_own(self) -> None:
        """The replicas that a keeper before this one started."""
        for name, revision in actors.find_replicas(self._model, self._namespace):
            if name not in self._kept and (handle := actors.find(name, self._namespace)) is not None:
                self._keep(_Kept(Member(name, handle, revision), time.monotonic()))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _answer(reference: Any) -> Load:
    answer: Load = await reference
    return answer
