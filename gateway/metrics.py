"""Every metric, declared once. One `Metrics` per application, each with a registry of its own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """The gateway's Prometheus metrics; units stand in the names."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "gateway_requests", "HTTP requests answered", ["endpoint", "status"], registry=self.registry
        )
        self.audio_seconds = Counter(
            "gateway_audio_seconds",
            "Seconds of audio decoded",
            registry=self.registry,
        )
        self.queue_rows = Gauge(
            "gateway_queue_rows", "Rows (chunks) waiting for a worker", ["model"], registry=self.registry
        )
        self.running_rows = Gauge(
            "gateway_running_rows", "Rows (chunks) being decoded", ["model"], registry=self.registry
        )
        self.decoded_rows = Counter(
            "gateway_decoded_rows", "Rows (chunks) decoded", ["model"], registry=self.registry
        )
        self.cancelled_rows = Counter(
            "gateway_cancelled_rows",
            "Rows whose client left",
            ["model"],
            registry=self.registry,
        )
        self.batch_rows = Histogram(
            "gateway_batch_rows",
            "Rows of one engine call",
            ["model"],
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self.registry,
        )
        self.batch_seconds = Histogram(
            "gateway_batch_seconds",
            "Seconds of one engine call",
            ["model"],
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            registry=self.registry,
        )
        self.workers_ready = Gauge(
            "gateway_workers_ready", "Workers with a loaded model", ["model"], registry=self.registry
        )
        self.worker_restarts = Counter(
            "gateway_worker_restarts",
            "Workers replaced after dying or hanging",
            ["model"],
            registry=self.registry,
        )
        self.open_streams = Gauge(
            "gateway_open_streams", "Recordings being transcribed", registry=self.registry
        )
        self.live_sessions = Gauge("gateway_live_sessions", "Realtime sessions open", registry=self.registry)
        self.live_waiting_bytes = Gauge(
            "gateway_live_waiting_bytes", "Bytes of live audio not worked on yet", registry=self.registry
        )
        self.live_final_seconds = Histogram(
            "gateway_live_final_seconds",
            "Seconds from a live chunk's end to its final hypothesis",
            buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30),
            registry=self.registry,
        )
        self.live_partials = Counter(
            "gateway_live_partials",
            "Hypotheses of utterances that went on, by what became of them",
            ["outcome"],
            registry=self.registry,
        )
