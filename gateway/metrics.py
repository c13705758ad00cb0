"""Every metric, declared once. One `Metrics` per application, each with a registry of its own."""

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway import __version__
from gateway.errors import GatewayError

ROWS = (1, 2, 4, 8, 16, 32, 64)
CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
WAIT_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
FINAL_SECONDS = (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30)
REQUEST_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
FACTORS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 5)

T = TypeVar("T")


LOSSES = ("hung", "died", "killed", "not_loaded", "not_started", "confused", "unreachable")
"""Why workers are replaced."""


REFUSALS = {
    "429": (
        "queue_full",
        "streams_full",
        "sessions_full",
        "viewers_full",
        "finals_late",
        "not_read",
        "overloaded",
        "ephemeral_key_sessions",
        "client_requests",
        "client_audio",
        "client_streams",
        "client_sessions",
        "client_waiting_bytes",
        "session_waiting_bytes",
        "session_commands",
        "waiting_bytes",
    ),
    "500": ("internal", "engine_failed"),
    "503": ("unavailable", "model_loading", "model_failed", "disk", "connections_full", "shutting_down"),
}
"""Limits and faults of the server, by the status that clients are told. They are counted from 0 on: the first
of a series that is not there yet would be no increase, and no alert."""


class Metrics:
    """The gateway's Prometheus metrics; units stand in the names."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        count = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        ProcessCollector(registry=self.registry)
        gauge("gateway_info", "Always 1; the label says which version runs", ["version"]).labels(
            __version__
        ).set(1)

        # Who asks, and what they are told.
        self.requests = count(
            "gateway_requests",
            "HTTP requests answered, and WebSockets closed ('ws …'), by status or close code",
            ["endpoint", "status"],
        )
        self.request_seconds = histogram(
            "gateway_request_seconds",
            "Seconds from a request's head to the last byte of its answer",
            ["endpoint"],
            buckets=REQUEST_SECONDS,
        )
        self.refusals = count(
            "gateway_refusals",
            "What clients asked for and was refused or failed: the status they were told, and which limit or "
            "fault it was; 'client_…' are limits of one key or address",
            ["status", "reason"],
        )
        for status, reasons in REFUSALS.items():
            for reason in reasons:
                self.refusals.labels(status, reason)
        self.open_connections = gauge("gateway_open_connections", "Connections that clients have open")
        self.unsent_bytes = gauge(
            "gateway_unsent_bytes", "Bytes of answers in memory that clients have not read yet"
        )
        self.open_streams = gauge("gateway_open_streams", "Recordings being transcribed")
        self.max_streams = gauge(
            "gateway_open_streams_limit", "Recordings that may be transcribed at the same time"
        )
        self.live_sessions = gauge("gateway_live_sessions", "Realtime sessions open")
        self.max_sessions = gauge(
            "gateway_live_sessions_limit", "Realtime sessions that may be open at the same time"
        )
        self.caption_readers = gauge("gateway_caption_readers", "Readers of live captions by their link")

        # What waits.
        self.queue_rows = gauge(
            "gateway_queue_rows",
            "Rows (chunks) waiting for a worker, by class: live_final, live_partial, file, ahead",
            ["model", "class"],
        )
        self.queue_limit_rows = gauge(
            "gateway_queue_limit_rows",
            "Rows waiting from which on new recordings are refused; those under way may be twice as many",
            ["model"],
        )
        self.queue_seconds = histogram(
            "gateway_queue_seconds",
            "Seconds that a row (chunk) waited for a worker, by class",
            ["model", "class"],
            buckets=WAIT_SECONDS,
        )
        self.queue_oldest_seconds = gauge(
            "gateway_queue_oldest_seconds", "Seconds that the longest waiting row has waited", ["model"]
        )
        self.websocket_bytes = gauge(
            "gateway_websocket_bytes", "Bytes of long WebSocket messages that are half received or worked on"
        )
        self.live_waiting_bytes = gauge("gateway_live_waiting_bytes", "Bytes of live audio not worked on yet")
        self.live_waiting_limit = gauge(
            "gateway_live_waiting_limit_bytes", "Bytes of live audio that may wait, of all sessions together"
        )
        self.spool_bytes = gauge("gateway_spool_bytes", "Bytes on disk of recordings that are transcribed")

        # What the workers do.
        self.workers = gauge("gateway_workers", "Workers that a loaded model should have", ["model"])
        self.workers_ready = gauge("gateway_workers_ready", "Workers with a loaded model", ["model"])
        self.lanes = gauge("gateway_lanes", "Engine calls that workers take at the same time", ["model"])
        self.worker_restarts = count(
            "gateway_worker_restarts",
            f"Workers replaced, by why: {', '.join(LOSSES)}",
            ["model", "reason"],
        )
        self.processes = WorkerProcesses()
        self.registry.register(self.processes)
        self.running_rows = gauge("gateway_running_rows", "Rows (chunks) being decoded", ["model"])
        self.decoded_rows = count("gateway_decoded_rows", "Rows (chunks) decoded", ["model"])
        self.cancelled_rows = count("gateway_cancelled_rows", "Rows whose client left", ["model"])
        self.batch_rows = histogram("gateway_batch_rows", "Rows of one engine call", ["model"], buckets=ROWS)
        self.batch_seconds = histogram(
            "gateway_batch_seconds", "Seconds of one engine call", ["model"], buckets=CALL_SECONDS
        )
        self.batch_oldest_seconds = gauge(
            "gateway_batch_oldest_seconds",
            "Seconds that the longest engine call has been under way",
            ["model"],
        )
        self.decoded_audio_seconds = count(
            "gateway_decoded_audio_seconds",
            "Seconds of audio in the rows decoded: what overlaps and what is decoded again counts again",
            ["model"],
        )
        self.stage_seconds = count(
            "gateway_stage_seconds", "Seconds of engine calls by what was done", ["model", "stage"]
        )

        # What is heard, and how late.
        self.audio_seconds = count("gateway_audio_seconds", "Seconds of audio decoded")
        self.cut_seconds = count(
            "gateway_cut_seconds",
            "Seconds of processor time before the engine, by source (recording, live) and stage: decode, or "
            "cut, which is loudness, voice detection and cutting; of live audio it is all of that",
            ["source", "stage"],
        )
        self.first_delta_seconds = histogram(
            "gateway_first_delta_seconds",
            "Seconds to the first words: of a recording from its first byte, of a live turn from the arrival "
            "of the audio in which its speech begins",
            ["source"],
            buckets=FINAL_SECONDS,
        )
        self.speech_end_to_final_seconds = histogram(
            "gateway_speech_end_to_final_seconds",
            "Seconds from the arrival of a live turn's last audio, the silence that ends it included, to its "
            "completed text; of clients that send no faster than people speak",
            buckets=FINAL_SECONDS,
        )
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
        self.real_time_factor = histogram(
            "gateway_real_time_factor",
            "Of complete recordings: seconds from the first byte to the last word for each second of audio, "
            "the upload and the wait for workers included; below 1 is faster than speech",
            buckets=FACTORS,
        )

    def refuse(self, error: GatewayError) -> None:
        """Counts what a client is told instead of what it asked for."""
        self.refusals.labels(str(error.status), error.reason).inc()


def counting(counter: Counter, work: Callable[[], T]) -> T:
    """Does the work, and counts the processor time that it takes this thread."""
    began = time.thread_time()
    try:
        return work()
    finally:
        counter.inc(time.thread_time() - began)


class WorkerProcesses(Collector):
    """Memory and processor time of the worker processes, read when somebody asks."""

    def __init__(self) -> None:
        self._readers: dict[tuple[str, str], ProcessCollector] = {}

    def add(self, model: str, number: int, pid: Callable[[], int | None]) -> None:
        """Shows a worker; ``pid`` is that of whichever process it has, None while it has none."""
        # Typed as if every process had one; without it there is no such folder, and so no samples.
        reader = ProcessCollector(pid=lambda: pid() or "none", registry=None)
        self._readers[model, str(number)] = reader

    def remove(self, model: str) -> None:
        """Shows the model's workers no longer."""
        for key in [key for key in self._readers if key[0] == model]:
            del self._readers[key]

    def describe(self) -> Iterable[Metric]:
        """The metrics, without anything in them."""
        labels = ["model", "worker"]
        return (
            GaugeMetricFamily(
                "gateway_worker_memory_bytes", "Resident memory of a worker process", labels=labels
            ),
            CounterMetricFamily(
                "gateway_worker_cpu_seconds",
                "Processor time of a worker process; begins anew with each",
                labels=labels,
            ),
        )

    def collect(self) -> Iterable[Metric]:
        """The metrics of all processes there are."""
        families = [*self.describe()]
        memory, cpu = families
        for labels, reader in self._readers.items():
            values = {sample.name: sample.value for family in reader.collect() for sample in family.samples}
            named = dict(zip(("model", "worker"), labels, strict=True))
            if (resident := values.get("process_resident_memory_bytes")) is not None:
                memory.add_sample(memory.name, named, resident)
                cpu.add_sample(f"{cpu.name}_total", named, values["process_cpu_seconds_total"])
        return families
