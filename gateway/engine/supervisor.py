"""Keeps one worker running: starts a replica, replaces it when it is lost, and says how it fares."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import anyio
from anyio.abc import TaskGroup

from gateway.engine.api import Capabilities, EngineSpec, Replica, ReplicaOptions
from gateway.errors import LoadFailedError, WorkerLostError, WorkerRetiredError
from gateway.metrics import LOSSES, Metrics

logger = logging.getLogger(__name__)

FAILED_STARTS = 3
"""After so many failed starts in a row a worker counts as failed; starting it goes on."""

MAX_PAUSE_SECONDS = 30.0
"""The longest pause between two starts."""

OUTAGE_PAUSE_SECONDS = 5.0
"""The same where the replica is out of reach: asking whether it is back costs little."""


class WorkerState(StrEnum):
    """What a worker does; it rests where replicas become more and fewer, and none is left for it."""

    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    RESTARTING = "restarting"
    FAILED = "failed"
    RESTING = "resting"

    @property
    def serves(self) -> bool:
        """It has loaded its model."""
        return self in {WorkerState.READY, WorkerState.BUSY}

    @property
    def rests(self) -> bool:
        """It is not needed."""
        return self is WorkerState.RESTING


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker, as ``/health`` shows it.

    Attributes:
        reason: Why it is restarting or failed, in a few words fit to be shown.
    """

    state: WorkerState
    reason: str | None = None
    pid: int | None = None


class Supervisor:
    """One worker: a replica of the engine and its successors.

    Args:
        environment: Variables that place the replica on its device and cores.
        restart_seconds: Pause before the second restart in a row; it doubles from there.
        on_change: Called when the status changes or the replica ends.

    Attributes:
        status: How the worker is, for `/health`.
        capabilities: Of the engine, once it has been loaded.
        load_failure: Why the engine could not be loaded, the last time that happened.
    """

    def __init__(
        self,
        spec: EngineSpec,
        environment: Mapping[str, str],
        options: ReplicaOptions,
        restart_seconds: float,
        metrics: Metrics,
        on_change: Callable[[], None],
    ) -> None:
        self._spec = spec
        self._environment = environment
        self._options = options
        self._restart_seconds = restart_seconds
        self._on_change = on_change
        self._failed_starts = 0
        self._losses_in_a_row = 0
        self._out_since: float | None = None
        self.status = WorkerStatus(WorkerState.STARTING)
        self.capabilities: Capabilities | None = None
        self.load_failure: LoadFailedError | None = None
        # All of them from the start: what is not there yet has no rate.
        self._restarts = {kind: metrics.worker_restarts.labels(spec.name, kind) for kind in LOSSES}

    async def run(self, tasks: TaskGroup, serve: Callable[[Replica], Awaitable[None]]) -> None:
        """Has each replica served by ``serve`` until that raises a `Notice`, and then starts the next.

        Returns only if the engine cannot be loaded at first: a wrong path or setting, which no restart mends.
        A load that failed after one that went well may do so for want of memory, and is tried again.
        """
        while True:
            replica = self._spec.replica(self._environment, self._options)
            try:
                self.capabilities = await replica.start(tasks, partial(self._note, replica))
                self._failed_starts = 0
                self._out_since = None
                self._set(WorkerState.READY, pid=replica.pid)
                await serve(replica)
            except LoadFailedError as error:
                logger.error("engine not loaded: %s", error)  # noqa: TRY400 (its traceback is the worker's, logged)
                self.load_failure = error
                if self.capabilities is None:
                    self._set(WorkerState.FAILED, error.public)
                    return
                self._lost(error.public, "not_loaded")
            except WorkerLostError as error:
                self._lost(str(error), error.kind)
            except WorkerRetiredError:
                self._losses_in_a_row = 0
                self._set(WorkerState.RESTING)
                continue
            finally:
                await replica.stop()
            await anyio.sleep(self._pause())

    def _note(self, replica: Replica) -> None:
        """Something has become of the replica: it may not be needed before it was there."""
        if replica.retired and not self.status.state.serves and self.status.state is not WorkerState.RESTING:
            self._set(WorkerState.RESTING)
        else:
            self._on_change()

    def busy(self) -> None:
        """The worker has got a batch."""
        self._set(WorkerState.BUSY, pid=self.status.pid)

    def done(self, *, still_busy: bool = False) -> None:
        """The worker has decoded a batch, so it is sound."""
        self._losses_in_a_row = 0
        self._set(WorkerState.BUSY if still_busy else WorkerState.READY, pid=self.status.pid)

    def _lost(self, reason: str, kind: str) -> None:
        if kind == "unreachable":
            if self._out_since is None:
                self._out_since = anyio.current_time()
        elif not self.status.state.serves:
            self._failed_starts += 1
        self._losses_in_a_row += 1
        self._restarts[kind].inc()
        failed = self._failed_starts >= FAILED_STARTS or self._is_out_for_long
        self._set(WorkerState.FAILED if failed else WorkerState.RESTARTING, reason)

    @property
    def _is_out_for_long(self) -> bool:
        """One that was never there is waited for: the machines of a fleet start in any order."""
        if self._out_since is None or self.capabilities is None:
            return False
        return anyio.current_time() - self._out_since >= self._options.outage_timeout

    def _pause(self) -> float:
        if self._losses_in_a_row == 1:
            return 0.0
        # No more than a thousandfold: a power of thousands of losses is no float.
        longest = MAX_PAUSE_SECONDS if self._out_since is None else OUTAGE_PAUSE_SECONDS
        return min(longest, self._restart_seconds * 2.0 ** min(self._losses_in_a_row - 2, 10))

    def _set(self, state: WorkerState, reason: str | None = None, pid: int | None = None) -> None:
        self.status = WorkerStatus(state, reason, pid)
        self._on_change()
