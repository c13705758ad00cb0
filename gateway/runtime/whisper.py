"""How the settings have Whisper run: device, precision, lanes, beam."""

import logging
import math
from dataclasses import replace

from gateway.engine.devices.cuda import choose, compute_types
from gateway.engine.devices.placement import Lanes, Machine, parse_devices
from gateway.engine.upstream.address import is_upstream
from gateway.engine.whisper.engine import WhisperOptions, WhisperSpec
from gateway.errors import DeviceUnavailableError
from gateway.memory import available_bytes
from gateway.runtime.workers import cpu_lanes, threads, worker_count
from gateway.settings import Settings

logger = logging.getLogger(__name__)

EXPRESS_SHARE = 0.4
"""Of the memory, that all models with two workers each may take."""


def whisper_options(settings: Settings) -> WhisperOptions:
    """How the settings have Whisper run.

    Raises:
        DeviceUnavailableError: Not on the device that was asked for.
    """
    devices = parse_devices(settings.devices)
    device = settings.device
    if devices:
        device = "cpu" if None in devices else "cuda"
        if settings.device not in ("auto", device):
            raise DeviceUnavailableError(
                f"GATEWAY_DEVICE is {settings.device}, but GATEWAY_DEVICES is {','.join(settings.devices)}"
            )
    indices = [index for index in devices if index is not None] or [0]
    gpus = choose(device, indices, settings.compute_type)
    for gpu in gpus:
        logger.info("running on %s", gpu)
    compute_type = settings.compute_type
    if compute_type == "auto" and all("float16" in compute_types(gpu) for gpu in gpus):
        # GPUs older than 2017 do not compute float16 well: what suits them CTranslate2 knows.
        compute_type = "float16" if gpus else "int8"
    sources = [*settings.model, *(model.source for model in settings.models)]
    local = sum(not is_upstream(source) for source in sources)
    lanes = _lanes(settings, on_gpu=bool(gpus), models=local)
    return WhisperOptions(
        device="cuda" if gpus else "cpu",
        compute_type=compute_type,
        lanes=lanes.count,
        cpu_threads=lanes.threads,
        express=settings.express_worker != "off" and not gpus and worker_count(settings, 1) == 1,
        max_batch=settings.max_batch or (16 if gpus else 8),
        beam_size=settings.beam_size,
        audio_context=settings.audio_context,
    )


def fitting(spec: WhisperSpec, settings: Settings, *, models: int) -> WhisperSpec:
    """The same without a second worker, where nobody asked for it and it would take much of the memory.

    Args:
        models: How many share the machine.
    """
    if not spec.express or settings.express_worker == "on":
        return spec
    most = min(available_bytes(), settings.memory_budget or math.inf) * EXPRESS_SHARE
    return spec if models * spec.workers * spec.memory_bytes <= most else replace(spec, express=False)


def options_on_cluster(settings: Settings) -> WhisperOptions:
    """The same for a cluster's nodes, by what a replica gets of one: this machine says nothing of them."""
    on_gpu = settings.ray_gpus > 0
    cores = math.ceil(settings.ray_cpus) or 1
    machine = Machine(cores=tuple(range(cores)))
    lanes = machine.lanes(settings.lanes, wanted_threads=settings.cpu_threads, workers=1)
    if on_gpu:
        lanes = Lanes(settings.lanes or 1, settings.cpu_threads or cores)
    usual = "float16" if on_gpu else "int8"
    return WhisperOptions(
        device="cuda" if on_gpu else "cpu",
        compute_type=usual if settings.compute_type == "auto" else settings.compute_type,
        lanes=lanes.count,
        cpu_threads=lanes.threads,
        max_batch=settings.max_batch or (16 if on_gpu else 8),
        beam_size=settings.beam_size,
        audio_context=settings.audio_context,
    )


def _lanes(settings: Settings, *, on_gpu: bool, models: int) -> Lanes:
    if on_gpu:
        return Lanes(settings.lanes or 1, threads(settings, models=models))
    return cpu_lanes(Machine.here(), settings, models=models)
