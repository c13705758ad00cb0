"""Of each served model there is one set of series, as long as it runs."""

from dataclasses import dataclass, field

import anyio
import pytest

from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import Priority
from gateway.engine.batcher_metrics import BatcherMetrics
from gateway.metrics import Metrics
from gateway.transcript import Hypothesis


@dataclass
class Shown:
    """What a scrape finds of the model "m"."""

    metrics: Metrics = field(default_factory=Metrics)

    def value(self, name: str, **labels: str) -> float | None:
        """A sample's."""
        return self.metrics.registry.get_sample_value(f"gateway_{name}", {"model": "m", **labels})


async def test_a_call_is_shown_while_it_runs() -> None:
    """And counted once, whatever becomes of it."""
    shown = Shown()
    ours = BatcherMetrics(shown.metrics, "m")
    ours.show(8, lambda now: 0.5 if now else 0.0, [])
    with pytest.raises(ValueError, match="lost"), ours.running(3), ours.call(3):
        began = anyio.current_time()
        await anyio.wait_all_tasks_blocked()
        assert shown.value("running_rows") == 3
        assert 0 <= (shown.value("batch_oldest_seconds") or 0) <= anyio.current_time() - began + 1
        raise ValueError("lost")

    assert shown.value("running_rows") == 0
    assert shown.value("batch_oldest_seconds") == 0
    assert shown.value("batch_rows_count") == shown.value("batch_seconds_count") == 1
    assert shown.value("queue_oldest_seconds") == 0.5
    assert shown.value("queue_limit_rows") == 8


def test_rows_by_what_they_are() -> None:
    """Waiting ones by their class; answered ones with their audio and where their time went."""
    shown = Shown()
    ours = BatcherMetrics(shown.metrics, "m")
    ours.waiting({Priority.FILE: 2, Priority.LIVE_FINAL: 1})
    ours.waited(Priority.FILE, 0.25)
    ours.decoded(3 * SAMPLE_RATE, Hypothesis((), "en", 1.0, seconds={"search": 2.0}))
    ours.cancelled()

    assert shown.value("queue_rows", **{"class": "file"}) == 2
    assert shown.value("queue_rows", **{"class": "live_final"}) == 1
    assert shown.value("queue_seconds_sum", **{"class": "file"}) == 0.25
    assert shown.value("decoded_audio_seconds_total") == 3
    assert shown.value("stage_seconds_total", stage="search") == 2
    assert shown.value("cancelled_rows_total") == 1


def test_a_model_that_left_is_asked_no_more() -> None:
    """Its gauges go, and the next one of that name begins anew."""
    shown = Shown()
    ours = BatcherMetrics(shown.metrics, "m")
    ours.show(8, lambda _: 1.0, [lambda: None])
    ours.workers(needed=1, serving=1, lanes=2)
    ours.hide()

    assert shown.value("queue_oldest_seconds") is None
    assert shown.value("batch_oldest_seconds") is None
    assert shown.value("workers_ready") == 1
    ours.show(8, lambda _: 2.0, [])
    assert shown.value("queue_oldest_seconds") == 2
