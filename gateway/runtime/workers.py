"""The workers of an engine: how many, on which devices, with how many threads."""

from dataclasses import replace

from gateway.engine.api import EngineSpec, ReplicaOptions
from gateway.engine.batcher import Batcher, BatcherOptions
from gateway.engine.devices.placement import Lanes, Machine, parse_devices, worker_environments
from gateway.engine.row_turns import Share
from gateway.flow.recording import ROWS_AHEAD
from gateway.metrics import Metrics
from gateway.settings import Settings


def make_batcher(spec: EngineSpec, settings: Settings, metrics: Metrics, *, models: int = 1) -> Batcher:
    """A batcher on the settings' number of workers; they start when it runs.

    Args:
        models: How many share the machine.
    """
    options = BatcherOptions(
        max_rows=settings.max_streams * (ROWS_AHEAD + 2),
        bounds_calls=not settings.max_batch,
        replica=ReplicaOptions(row_timeout=settings.row_timeout, outage_timeout=settings.upstream_timeout),
    )
    if spec.places is not None:
        return Batcher(spec, metrics, options, spec.places)
    on_gpu = spec.device == "cuda"
    named = [device for device in parse_devices(settings.devices) if (device is not None) == on_gpu]
    devices: list[int | None] = [*named] or [0 if on_gpu else None]
    machine = Machine.here()
    environments = worker_environments(
        devices * settings.workers, machine, threads=threads(settings, models=models)
    )
    if spec.express:
        first = environments[0]
        other = first | machine.at_ease(spec.lanes)
        options = replace(options, calls_apart=machine.apart(cpu_lanes(machine, settings, models=models)))
        return Batcher(spec, metrics, options, (first, other), (Share.WAITED_FOR, Share.REST))
    return Batcher(spec, metrics, options, environments)


def cpu_lanes(machine: Machine, settings: Settings, *, models: int) -> Lanes:
    """Those of one worker, where it runs on a CPU."""
    workers = worker_count(settings, models)
    return machine.lanes(settings.lanes, wanted_threads=settings.cpu_threads, workers=workers)


def threads(settings: Settings, *, models: int) -> int:
    """Threads of one worker: the cores, shared among all workers."""
    return Machine.here().threads(settings.cpu_threads, worker_count(settings, models))


def worker_count(settings: Settings, models: int) -> int:
    """Processes that share this machine."""
    return settings.workers * max(1, len(settings.devices)) * max(1, models)
