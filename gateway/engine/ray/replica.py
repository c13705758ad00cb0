"""A `Replica` that is one of the cluster's actors, as long as this gateway has it."""

import logging
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import anyio
from anyio.abc import TaskGroup

from gateway.aio import open_task_group
from gateway.engine.api import Capabilities, DecodeOptions, DecodeRequest, ReplicaOptions, RowFailed
from gateway.engine.ray import actors
from gateway.engine.ray.messages import Decoded, Load, LoadFailure, Member, Ready, Undecoded
from gateway.engine.ray.pool import Pool
from gateway.errors import BatchFailedError, LoadFailedError, WorkerLostError
from gateway.transcript import Hypothesis

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 0.5
"""Until a replica that could not be reached is asked again."""

BEAT_SECONDS = 0.5
"""How often a replica is asked what it has to do."""


LATE_SECONDS = 1.0
"""An alarm that comes so much too late says that this process had no time, and nothing of the replica."""


class RayReplica:
    """One of the pool's replicas, of which it gets any that nobody here has.

    Ray says within milliseconds that an actor's process has died, but only after many seconds that a node
    has. So the replica is asked twice a second for its load, and is lost once it owes an answer for
    ``silence`` seconds: its rows are then decoded elsewhere, whatever has become of it.

    Args:
        batch_key: Of rows with these options.
        silence: Seconds.
    """

    def __init__(
        self,
        pool: Pool,
        options: ReplicaOptions,
        batch_key: Callable[[DecodeOptions], object],
        silence: float,
    ) -> None:
        self._pool = pool
        self._options = options
        self._batch_key = batch_key
        self._silence = silence
        self._member: Member | None = None
        self._incarnation: str | None = None
        self._numbers = count()
        self._own_rows = 0
        self._others_rows = 0
        self._lost: WorkerLostError | None = None
        self._was_lost = anyio.Event()
        self._is_retired = False
        self._is_resting = False
        self._on_exit: Callable[[], None] = lambda: None
        self._scope: anyio.CancelScope | None = None
        """Of the task that watches over it."""

    @property
    def pid(self) -> int | None:
        """It has no process on this machine."""
        return None

    @property
    def exited(self) -> bool:
        """It is lost, or gets no rows any more because it leaves."""
        return self._lost is not None or self._is_retired

    @property
    def retired(self) -> bool:
        """It leaves, or all that there are have been taken, and it is not lost."""
        return (self._is_retired or self._is_resting) and self._lost is None

    @property
    def load(self) -> int:
        """Rows of other gateways, as it said last."""
        return self._others_rows

    async def start(self, tasks: TaskGroup, on_exit: Callable[[], None] = lambda: None) -> Capabilities:
        """Waits for a replica of the cluster that is free, and until its engine is loaded; see `Replica`."""
        self._pool.waiting = self._options.waiting
        self._pool.follow(tasks)
        self._on_exit = on_exit
        while True:
            self._member = await self._pool.acquire(on_wait=self._rest, on_leave=self._retire)
            self._is_resting = False
            answer = None
            with anyio.move_on_after(self._options.load_timeout):
                try:
                    answer = await self._handle.describe.remote()
                except Exception as error:  # noqa: BLE001 - Ray's errors have no common base but this
                    # Its node is gone, and it is started elsewhere; perhaps another one is free.
                    logger.debug("replica %s: %s", self._member.name, actors.first_line(error))
            match answer:
                case Ready(capabilities) if not self._is_retired:
                    self._scope = anyio.CancelScope()
                    tasks.start_soon(self._watch)
                    return capabilities
                case LoadFailure(kind, reason):
                    raise LoadFailedError(kind, reason)
            self._pool.release(self._member)
            self._is_retired = False
            await anyio.sleep(AGAIN_SECONDS)

    async def transcribe(self, batch: Sequence[DecodeRequest]) -> list[Hypothesis | RowFailed]:
        """Sends one batch to the actor and waits for its results; see `Replica`."""
        rows, number = list(batch), next(self._numbers)
        self._own_rows += len(rows)
        is_done = False
        try:
            answer = await self._call(rows, number)
            is_done = True
        finally:
            self._own_rows -= len(rows)
            if not is_done:
                self._forget(number)
        match answer:
            case Decoded(results, load):
                self._note(load)
                return results
            case Undecoded(reason, out_of_memory, load):
                self._note(load)
                raise BatchFailedError(reason, out_of_memory=out_of_memory)
            case _:
                raise self._lose(WorkerLostError("answered nonsense", kind="confused"))

    async def stop(self) -> None:
        """Gives the actor back; it goes on for the other gateways."""
        if self._scope is not None:
            self._scope.cancel()
        if self._member is not None:
            self._pool.release(self._member)

    async def _call(self, rows: list[DecodeRequest], number: int) -> Any:
        alone = any(row.alone for row in rows)
        try:
            async with open_task_group() as tasks:
                tasks.start_soon(self._cancel_when_lost, tasks.cancel_scope)
                # Megabytes are copied into the object store: not on the event loop.
                reference = await anyio.to_thread.run_sync(self._send, rows, number)
                answer = await reference
                tasks.cancel_scope.cancel()
                return answer
        except Exception as error:  # noqa: BLE001 - as in `start`
            self._lose(_died(error))
            raise _died(error, in_company=not alone) from None
        lost = self._lost or WorkerLostError("died")
        error = WorkerLostError(str(lost), was_killed=lost.was_killed, in_company=not alone)
        error.kind = lost.kind
        raise error

    def _send(self, rows: list[DecodeRequest], number: int) -> Any:
        key = self._batch_key(rows[0].options)
        return self._handle.transcribe.remote(self._pool.edge, number, key, rows)

    def _forget(self, number: int) -> None:
        try:
            self._handle.forget.remote(self._pool.edge, number)
        except Exception as error:  # noqa: BLE001 - whatever Ray says, there is nothing to be done about it
            logger.debug("not taken back: %s", error)

    async def _cancel_when_lost(self, scope: anyio.CancelScope) -> None:
        await self._was_lost.wait()
        scope.cancel()

    async def _watch(self) -> None:
        assert self._scope is not None  # noqa: S101 - made before this is started
        with self._scope:
            while self._lost is None:
                answer: Load | None = None
                asked = anyio.current_time()
                with anyio.move_on_after(self._silence):
                    try:
                        answer = await self._handle.load.remote()
                    except Exception as error:  # noqa: BLE001 - as in `start`
                        self._lose(_died(error))
                        return
                if answer is None and anyio.current_time() - asked > self._silence + LATE_SECONDS:
                    continue  # it is this process that did not get to listen
                if answer is None:
                    # Nobody can say whether it works still: no row is to blame.
                    self._lose(WorkerLostError("does not answer", was_killed=True, kind="hung"))
                    return
                self._note(answer)
                await anyio.sleep(BEAT_SECONDS)

    def _note(self, load: Load) -> None:
        if self._incarnation is None:
            self._incarnation = load.incarnation
        elif load.incarnation != self._incarnation:
            self._lose(WorkerLostError("died", in_company=True))
            return
        others = max(0, load.rows - self._own_rows)
        if others != self._others_rows:
            self._others_rows = others
            self._on_exit()

    def _rest(self) -> None:
        self._is_resting = True
        self._on_exit()

    def _retire(self) -> None:
        self._is_retired = True
        self._on_exit()

    def _lose(self, error: WorkerLostError) -> WorkerLostError:
        if self._lost is None:
            self._lost = error
            logger.warning("replica %s lost: %s", self._member.name if self._member else "", error)
            self._was_lost.set()
            self._on_exit()
        return error

    @property
    def _handle(self) -> Any:
        assert self._member is not None  # noqa: S101 - nothing is asked of it before it is started
        return self._member.handle


def _died(error: Exception, *, in_company: bool = True) -> WorkerLostError:
    logger.debug("replica lost: %s", error)
    return WorkerLostError("died" if actors.is_gone(error) else "cannot be reached", in_company=in_company)
