"""Every metric, declared once. One `Metrics` per application, each with a registry of its own."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

ROWS = (1, 2, 4, 8, 16, 32, 64)
CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
FINAL_SECONDS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """The gateway's Prometheus metrics; units stand in the names."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        count = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        self.requests = count("gateway_requests", "HTTP requests answered", ["endpoint", "status"])
        self.audio_seconds = count("gateway_audio_seconds", "Seconds of audio decoded")
        self.queue_rows = gauge("gateway_queue_rows", "Rows (chunks) waiting for a worker", ["model"])
        self.running_rows = gauge("gateway_running_rows", "Rows (chunks) being decoded", ["model"])
        self.decoded_rows = count("gateway_decoded_rows", "Rows (chunks) decoded", ["model"])
        self.cancelled_rows = count("gateway_cancelled_rows", "Rows whose client left", ["model"])
        self.batch_rows = histogram("gateway_batch_rows", "Rows of one engine call", ["model"], buckets=ROWS)
        self.batch_seconds = histogram(
            "gateway_batch_seconds", "Seconds of one engine call", ["model"], buckets=CALL_SECONDS
        )
        self.stage_seconds = count(
            "gateway_stage_seconds", "Seconds of engine calls by what was done", ["model", "stage"]
        )
        self.workers_ready = gauge("gateway_workers_ready", "Workers with a loaded model", ["model"])
        self.lanes = gauge("gateway_lanes", "Engine calls that workers take at the same time", ["model"])
        self.worker_restarts = count(
            "gateway_worker_restarts", "Workers replaced after dying or hanging", ["model"]
        )
        self.open_streams = gauge("gateway_open_streams", "Recordings being transcribed")
        self.live_sessions = gauge("gateway_live_sessions", "Realtime sessions open")
        self.caption_readers = gauge("gateway_caption_readers", "Readers of live captions by their link")
        self.live_waiting_bytes = gauge("gateway_live_waiting_bytes", "Bytes of live audio not worked on yet")
        self.live_final_seconds = histogram(
            "gateway_live_final_seconds",
            "Seconds from a live chunk's end to its final hypothesis",
            buckets=FINAL_SECONDS,
        )
        self.live_partials = count(
            "gateway_live_partials",
            "Hypotheses of utterances that went on, by what became of them",
            ["outcome"],
        )
