"""One batcher for all connections: rows wait in its queue, workers take them in batches, callers get answers.

Whatever a worker does (die, hang, run out of memory, fail to start), no row is lost: it is decoded again, or
its caller is told.
"""

import logging
import math
from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import anyio

from gateway.aio import Changed, open_task_group
from gateway.engine.api import (
    Capabilities,
    DecodeRequest,
    EngineSpec,
    Priority,
    Replica,
    ReplicaOptions,
    RowFailed,
)
from gateway.engine.batcher_metrics import BatcherMetrics
from gateway.engine.lanes import AllLanes, Lanes
from gateway.engine.queue import BatchQueue
from gateway.engine.row import Row
from gateway.engine.row_turns import Share
from gateway.engine.sizes import BatchSizes
from gateway.engine.supervisor import Supervisor, WorkerState, WorkerStatus
from gateway.errors import (
    BatchFailedError,
    EngineFailedError,
    SupersededError,
    UnavailableError,
    WorkerLostError,
    WorkerRetiredError,
)
from gateway.metrics import Metrics
from gateway.tracing import Span
from gateway.transcript import Hypothesis

logger = logging.getLogger(__name__)

LONELY_DEATHS = 3
"""A row that was alone in a worker at so many deaths is to blame; fewer may be chance."""

LONELY_KILLS = 9
"""The same where the worker was killed from outside, which is chance, or memory that the row ate."""

NOT_SERVED = "The model cannot be served at the moment."
SHUTTING_DOWN = "The server is shutting down."
ROW_FAILED = "A part of the recording could not be transcribed."


@dataclass(frozen=True, slots=True)
class BatcherOptions:
    """How rows wait and workers are treated.

    Attributes:
        max_rows: Rows that may wait before new streams are refused (see `BatchQueue`).
        idle_wait_seconds: How long an idle worker waits for more rows once there is one.
        restart_seconds: Pause before the second restart in a row; it doubles from there.
        bounds_calls: A batch grows only while that pays and its call stays short (see `BatchSizes`). Else
            whatever waits goes together, up to the spec's largest batch.
        calls_apart: So many calls of one worker take no cores from each other; None: as many as it has lanes.
            Beyond that no partial begins beside a live final, where another worker has the rest.
    """

    max_rows: int = 512
    idle_wait_seconds: float = 0.005
    restart_seconds: float = 0.1
    bounds_calls: bool = False
    calls_apart: int | None = None
    replica: ReplicaOptions = field(default_factory=ReplicaOptions)


class Batcher:
    """A `Recognizer` on replicas of one engine. Rows wait until `run` runs, in a task group of the caller.

    Args:
        environments: One worker for each: the variables that place it, as CUDA_VISIBLE_DEVICES.
        shares: What each of them takes of the waiting rows while the others serve, too; all where not given.

    Attributes:
        changed: Notified whenever rows or workers change.
    """

    def __init__(
        self,
        spec: EngineSpec,
        metrics: Metrics,
        options: BatcherOptions | None = None,
        environments: Sequence[Mapping[str, str]] = ({},),
        shares: Sequence[Share] = (),
    ) -> None:
        options = options or BatcherOptions()
        self._spec = spec
        self._sizes = BatchSizes(spec.max_batch, spec.device)
        self._queue = BatchQueue(
            options.max_rows,
            self._sizes.limit if options.bounds_calls else lambda _: spec.max_batch,
            spec.batch_key,
            options.idle_wait_seconds,
        )
        self._lanes = AllLanes(
            self._queue, spec.lanes if options.calls_apart is None else options.calls_apart
        )
        replica_options = replace(options.replica, waiting=lambda: len(self._queue))
        self._supervisors = [
            Supervisor(
                spec, environment, replica_options, options.restart_seconds, metrics, self._note_change
            )
            for environment in environments
        ]
        self._shares = shares or [Share.ALL] * len(environments)
        self._metrics = BatcherMetrics(metrics, spec.name)
        self._max_rows = options.max_rows
        self._closed = False
        self.changed = Changed()

    @property
    def name(self) -> str:
        """The served model's name."""
        return self._spec.name

    @property
    def memory_bytes(self) -> int:
        """What its workers take together with the model loaded; estimated."""
        return len(self._supervisors) * self._spec.memory_bytes

    @property
    def capabilities(self) -> Capabilities:
        """Of the loaded engine.

        Raises:
            UnavailableError: No worker has loaded the model yet.
        """
        for supervisor in self._supervisors:
            if supervisor.capabilities is not None:
                return supervisor.capabilities
        raise UnavailableError("The model is not loaded yet.")

    @property
    def state(self) -> tuple[WorkerStatus, ...]:
        """Of each worker."""
        return tuple(supervisor.status for supervisor in self._supervisors)

    @property
    def ready(self) -> bool:
        """At least one worker serves."""
        return not self._closed and any(status.state.serves for status in self.state)

    @property
    def hopeless(self) -> bool:
        """No worker serves, and starting them has failed again and again."""
        return all(status.state is WorkerState.FAILED for status in self.state)

    async def wait_ready(self) -> None:
        """Returns once a worker serves.

        Raises:
            LoadFailedError: The engine cannot be loaded; the text is for operators.
            UnavailableError: The workers do not start, or `run` has ended.
        """
        await self.changed.until(lambda: self.ready or self.hopeless or self._closed)
        if self.hopeless:
            failures = [supervisor.load_failure for supervisor in self._supervisors]
            raise next(filter(None, failures), UnavailableError(NOT_SERVED))
        if self._closed:
            raise UnavailableError(SHUTTING_DOWN)

    async def transcribe(
        self, request: DecodeRequest, *, stream: Hashable, priority: Priority = Priority.FILE
    ) -> Hypothesis:
        """Decodes one row; a cancelled call frees its place. See `Recognizer`."""
        if self.hopeless or self._closed:
            raise UnavailableError(SHUTTING_DOWN if self._closed else NOT_SERVED)
        settled = anyio.Event()
        row = Row(request, stream, priority, settled.set)
        replaced = self._queue.put(row, anyio.current_time())
        if replaced is not None:
            replaced.settle(SupersededError())
        self._note_change()
        try:
            await settled.wait()
        finally:
            if row.outcome is None:
                # If it runs, its batch goes on for the sake of the others, and its result is ignored.
                row.settle(SupersededError())
                self._queue.discard(row)
                self._metrics.cancelled()
                self._note_change()
        return row.result()

    async def run(self) -> None:
        """Keeps the workers running until cancelled; then none is left, and every caller is answered."""
        try:
            self._note_change()
            pids = [partial(_pid, supervisor) for supervisor in self._supervisors]
            self._metrics.show(self._max_rows, self._queue.oldest, pids)
            async with anyio.create_task_group() as tasks:
                for supervisor, share in zip(self._supervisors, self._shares, strict=True):
                    serve = partial(self._serve, supervisor=supervisor, share=share)
                    tasks.start_soon(supervisor.run, tasks, serve)
        finally:
            self._closed = True
            self._refuse_waiting(SHUTTING_DOWN)
            self._note_change()
            self._metrics.hide()

    async def _serve(self, replica: Replica, *, supervisor: Supervisor, share: Share) -> None:
        """Decodes batches, one in each lane, until the worker is lost.

        Raises:
            WorkerLostError: It is lost; the rows it held wait again.
            WorkerRetiredError: It is not needed any more.
        """
        lanes = Lanes(self._spec.lanes, replica, share)
        self._lanes.add(lanes)
        try:
            async with open_task_group() as calls:
                while True:
                    batch = await self._next_batch(replica, lanes)
                    lanes.begin(batch)
                    supervisor.busy()
                    calls.start_soon(self._run_call, replica, supervisor, lanes, batch, calls.cancel_scope)
        finally:
            self._lanes.remove(lanes)
        # Only a lost worker cancels the calls from within; its other rows are not to blame.
        raise lanes.error or WorkerLostError("died")

    async def _run_call(
        self,
        replica: Replica,
        supervisor: Supervisor,
        lanes: Lanes,
        batch: list[Row],
        scope: anyio.CancelScope,
    ) -> None:
        try:
            with self._metrics.running(len(batch)):
                await self._decode(replica, batch, lanes)
        except WorkerLostError:
            scope.cancel()
        finally:
            lanes.end(batch)
        if lanes.error is None:
            supervisor.done(still_busy=lanes.running > 0)

    async def _next_batch(self, replica: Replica, lanes: Lanes) -> list[Row]:
        # Calls under way find out themselves that it is gone, and who is to blame.
        while lanes.running or not replica.exited:
            wake_at = None
            if (claim := self._lanes.claim(lanes)) is not None:
                now = anyio.current_time()
                if batch := self._queue.take(now, claim.places, claim.share):
                    for row in batch:
                        self._metrics.waited(row.priority, now - row.put_at)
                    return batch
                wake_at = self._queue.wake_at(claim.places, claim.share)
            with anyio.CancelScope(deadline=math.inf if wake_at is None else wake_at):
                await self.changed.wait()
        if replica.retired:
            raise WorkerRetiredError
        raise WorkerLostError("died")

    async def _decode(self, replica: Replica, batch: list[Row], lanes: Lanes) -> None:
        """Answers each row of the batch, in several calls if one of them fails.

        Raises:
            WorkerLostError: The worker is lost; rows not answered wait again.
        """
        parts = deque([batch])
        held = batch
        try:
            while parts:
                held = [row for row in parts.popleft() if row.outcome is None]
                if held:
                    parts.extend(await self._call(replica, held))
        except WorkerLostError as error:
            # Where other calls ran in it, too, nobody knows who is to blame: all are tried again alone.
            if len(held) == 1 and lanes.running == 1 and lanes.error is None and not error.is_outage:
                self._count_death(held[0], error)
            lanes.error = lanes.error or error
            raise
        finally:
            # None are left unless something was raised: a lost worker, or the end of `run`.
            rows = [row for part in (held, *parts) for row in part if row.outcome is None]
            is_outage = lanes.error is not None and lanes.error.is_outage
            for row in self._queue.put_back(rows, alone=not is_outage):
                row.settle(SupersededError())

    async def _call(self, replica: Replica, rows: list[Row]) -> list[list[Row]]:
        """One engine call. Returns the rows it did not answer, in the parts in which to try them again."""
        began = anyio.current_time()
        spans = [row.span.child("engine call", rows=len(rows), model=self.name) for row in rows]
        try:
            with self._metrics.call(len(rows)):
                results = await replica.transcribe([_request(row) for row in rows])
        except BatchFailedError as error:
            logger.warning("batch of %d rows failed: %s", len(rows), error)
            _fail(spans, "out_of_memory" if error.out_of_memory else "batch_failed")
            if len(rows) == 1:
                rows[0].settle(EngineFailedError(ROW_FAILED))
                return []
            size = math.ceil(len(rows) / 2) if error.out_of_memory else 1
            return [rows[start : start + size] for start in range(0, len(rows), size)]
        except WorkerLostError as error:
            _fail(spans, f"worker_{error.kind}")
            raise
        finally:
            for span in spans:
                span.end()
        self._sizes.observe(rows[0].key, len(rows), anyio.current_time() - began)
        for row, result in zip(rows, results, strict=True):
            if isinstance(result, RowFailed):
                logger.warning("row failed: %s", result.reason)
                row.settle(result.error or EngineFailedError(ROW_FAILED))
            else:
                self._metrics.decoded(len(row.request.samples), result)
                row.settle(result)
        return []

    def _count_death(self, row: Row, error: WorkerLostError) -> None:
        if error.in_company:
            return
        if error.was_killed:
            row.kills += 1
        else:
            row.deaths += 1
        if row.deaths >= LONELY_DEATHS or row.kills >= LONELY_KILLS:
            logger.error("row given up: %d workers were lost with it alone", row.deaths + row.kills)
            row.settle(EngineFailedError(ROW_FAILED))

    def _refuse_waiting(self, message: str) -> None:
        for row in self._queue.clear():
            row.settle(UnavailableError(message))

    def _note_change(self) -> None:
        """Wakes whoever waits for rows, for their absence or for workers, and keeps the gauges."""
        if self.hopeless:
            self._refuse_waiting(NOT_SERVED)
        serving = sum(status.state.serves for status in self.state)
        lanes = len(self._lanes) * self._spec.lanes
        self._metrics.workers(needed=self._needed, serving=0 if self._closed else serving, lanes=lanes)
        self._metrics.waiting(self._queue.depths)
        self.changed.notify()

    @property
    def _needed(self) -> int:
        """Workers that there should be."""
        return 0 if self._closed else sum(not status.state.rests for status in self.state)


def _fail(spans: Sequence[Span], reason: str) -> None:
    for span in spans:
        span.fail(reason)


def _pid(supervisor: Supervisor) -> int | None:
    return supervisor.status.pid


def _request(row: Row) -> DecodeRequest:
    return replace(row.request, alone=True) if row.alone else row.request
