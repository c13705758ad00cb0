"""What `gateway top` tells of a server, in numbers: the same for people and for programs."""

import time
from dataclasses import dataclass, field
from typing import Any

from gateway.cli.top_reading import Reading, quantile, since

CLASSES = ("live_final", "live_partial", "file", "ahead")


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Of a histogram, in its unit.

    Attributes:
        p50: None where nothing was counted; infinite beyond the last bucket.
        p95: The same.
    """

    count: int
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class View:
    """A server, as it is and as it was in the window.

    Attributes:
        error: Why nothing else is known.
        window_seconds: What rates and quantiles are of; since its start, where there is one reading only.
        latency: Quantiles in seconds, by what takes so long.
        slowest: Endpoints by their 95th percentile, in seconds.
        workers: States of each model's workers, with the reason where there is one.
        refusals: In the window, by reason.
    """

    url: str
    error: str | None = None
    status: str = ""
    version: str = ""
    up_seconds: float = 0.0
    window_seconds: float = 0.0
    open: dict[str, float] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    queue: dict[str, float] = field(default_factory=dict)
    oldest_row_seconds: float = 0.0
    longest_call_seconds: float = 0.0
    latency: dict[str, Quantiles] = field(default_factory=dict)
    real_time_factor: Quantiles = field(default_factory=lambda: Quantiles(0, None, None))
    rates: dict[str, float] = field(default_factory=dict)
    bytes: dict[str, float] = field(default_factory=dict)
    workers: dict[str, list[str]] = field(default_factory=dict)
    restarts: dict[str, float] = field(default_factory=dict)
    refusals: dict[str, float] = field(default_factory=dict)
    slowest: dict[str, float] = field(default_factory=dict)


def view(now: Reading, before: Reading | None = None) -> View:
    """What a reading says, and what happened since an earlier one."""
    if now.error is not None:
        return View(now.url, now.error)
    up = max(0.0, time.time() - now.total("process_start_time_seconds"))
    if before is None or before.error is not None or now.at <= before.at:
        before, window = Reading(now.url, 0.0), up
    else:
        window = now.at - before.at

    def grown(name: str, label: str) -> dict[str, float]:
        return since(now.by(name, label), before.by(name, label))

    def rate(name: str) -> float:
        return sum(grown(name, "").values()) / window if window else 0.0

    def quantiles(name: str, **labels: str) -> Quantiles:
        buckets = since(now.buckets(name, **labels), before.buckets(name, **labels))
        return Quantiles(
            round(max(buckets.values(), default=0)), quantile(0.5, buckets), quantile(0.95, buckets)
        )

    endpoints = {
        name: quantiles("gateway_request_seconds", endpoint=name).p95
        for name in now.by("gateway_request_seconds_count", "endpoint")
        if name.startswith("/v1")
    }
    slow = sorted(((value, name) for name, value in endpoints.items() if value is not None), reverse=True)
    waits = {f"wait of {each}": quantiles("gateway_queue_seconds", **{"class": each}) for each in CLASSES}
    return View(
        now.url,
        status=str(now.health.get("status", "")),
        version=str(now.health.get("version", "")),
        up_seconds=up,
        window_seconds=window,
        open={
            "sessions": now.total("gateway_live_sessions"),
            "recordings": now.total("gateway_open_streams"),
            "readers": now.total("gateway_caption_readers"),
            "connections": now.total("gateway_open_connections"),
            "handles": now.total("process_open_fds"),
        },
        limits={
            "sessions": now.total("gateway_live_sessions_limit"),
            "recordings": now.total("gateway_open_streams_limit"),
            "handles": now.total("process_max_fds"),
            "rows": now.total("gateway_queue_limit_rows"),
            "live_audio": now.total("gateway_live_waiting_limit_bytes"),
        },
        queue={each: now.total("gateway_queue_rows", **{"class": each}) for each in CLASSES}
        | {"running": now.total("gateway_running_rows")},
        oldest_row_seconds=now.highest("gateway_queue_oldest_seconds"),
        longest_call_seconds=now.highest("gateway_batch_oldest_seconds"),
        latency={
            "end of speech to final": quantiles("gateway_speech_end_to_final_seconds"),
            "first words, live": quantiles("gateway_first_delta_seconds", source="live"),
            "first words, recordings": quantiles("gateway_first_delta_seconds", source="recording"),
            "engine call": quantiles("gateway_batch_seconds"),
            **waits,
        },
        real_time_factor=quantiles("gateway_real_time_factor"),
        rates={
            "audio_seconds": rate("gateway_audio_seconds_total"),
            "rows": rate("gateway_decoded_rows_total"),
            "requests": rate("gateway_requests_total"),
            "server_cores": rate("process_cpu_seconds_total"),
            "worker_cores": rate("gateway_worker_cpu_seconds_total"),
        },
        bytes={
            "server": now.total("process_resident_memory_bytes"),
            "workers": now.total("gateway_worker_memory_bytes"),
            "live_audio": now.total("gateway_live_waiting_bytes"),
            "uploads": now.total("gateway_spool_bytes"),
            "unread": now.total("gateway_unsent_bytes"),
        },
        workers={name: _workers(model) for name, model in now.health.get("models", {}).items()},
        restarts={
            name: value for name, value in grown("gateway_worker_restarts_total", "reason").items() if value
        },
        refusals={name: value for name, value in grown("gateway_refusals_total", "reason").items() if value},
        slowest={name: value for value, name in slow[:3]},
    )


def _workers(model: dict[str, Any]) -> list[str]:
    """The state of each, or that of the model where it has none."""
    states = [
        f"{worker['state']} ({worker['reason']})" if worker.get("reason") else worker["state"]
        for worker in model.get("workers", ())
    ]
    detail = f" ({model['detail']})" if model.get("detail") else ""
    return states or [f"{model.get('state', 'unknown')}{detail}"]
