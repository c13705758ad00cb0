"""What one batcher shows of itself in `/metrics`."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import anyio

from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import Priority
from gateway.metrics import Metrics
from gateway.transcript import Hypothesis


class BatcherMetrics:
    """The series of one served model.

    Args:
        name: The model's, which is the label of each series.
    """

    def __init__(self, metrics: Metrics, name: str) -> None:
        self._metrics = metrics
        self._name = name
        classes = {priority: priority.name.lower() for priority in Priority}
        self._depths = {each: metrics.queue_rows.labels(name, label) for each, label in classes.items()}
        self._waits = {each: metrics.queue_seconds.labels(name, label) for each, label in classes.items()}
        self._calls: dict[object, float] = {}
        """When each engine call under way began, by the monotonic clock."""

    def show(
        self, max_rows: int, oldest: Callable[[float], float], pids: Sequence[Callable[[], int | None]]
    ) -> None:
        """Begins with what is read only when somebody asks.

        Args:
            max_rows: That may wait.
            oldest: Seconds that the row has waited which waits longest, at that monotonic time.
            pids: Of each worker, None while it has no process.
        """
        metrics, name = self._metrics, self._name
        metrics.queue_limit_rows.labels(name).set(max_rows)
        metrics.queue_oldest_seconds.labels(name).set_function(lambda: oldest(time.monotonic()))
        metrics.batch_oldest_seconds.labels(name).set_function(self._longest_call)
        for number, pid in enumerate(pids):
            metrics.processes.add(name, number, pid)

    def hide(self) -> None:
        """Nobody is to be asked any more."""
        metrics = self._metrics
        for gauge in (metrics.queue_oldest_seconds, metrics.batch_oldest_seconds):
            gauge.remove(self._name)
        metrics.processes.remove(self._name)

    def workers(self, *, needed: int, serving: int, lanes: int) -> None:
        """So many there should be, so many serve, with so many lanes in all."""
        self._metrics.workers.labels(self._name).set(needed)
        self._metrics.workers_ready.labels(self._name).set(serving)
        self._metrics.lanes.labels(self._name).set(lanes)

    def waiting(self, depths: Mapping[Priority, int]) -> None:
        """So many rows wait."""
        for priority, depth in depths.items():
            self._depths[priority].set(depth)

    def waited(self, priority: Priority, seconds: float) -> None:
        """A row leaves the queue."""
        self._waits[priority].observe(seconds)

    def cancelled(self) -> None:
        """A row's caller has left."""
        self._metrics.cancelled_rows.labels(self._name).inc()

    @contextmanager
    def running(self, rows: int) -> Iterator[None]:
        """A worker has them."""
        gauge = self._metrics.running_rows.labels(self._name)
        gauge.inc(rows)
        try:
            yield
        finally:
            gauge.dec(rows)

    @contextmanager
    def call(self, rows: int) -> Iterator[None]:
        """One engine call, whatever becomes of it."""
        self._metrics.batch_rows.labels(self._name).observe(rows)
        call = object()
        self._calls[call] = anyio.current_time()
        try:
            with self._metrics.batch_seconds.labels(self._name).time():
                yield
        finally:
            del self._calls[call]

    def decoded(self, samples: int, hypothesis: Hypothesis) -> None:
        """A row of so many samples has its answer."""
        metrics, name = self._metrics, self._name
        metrics.decoded_rows.labels(name).inc()
        metrics.decoded_audio_seconds.labels(name).inc(samples / SAMPLE_RATE)
        for stage, seconds in hypothesis.seconds.items():
            metrics.stage_seconds.labels(name, stage).inc(seconds)

    def _longest_call(self) -> float:
        now = time.monotonic()
        return max((now - began for began in self._calls.values()), default=0.0)
