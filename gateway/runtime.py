"""From settings to engines on worker processes: what the server and commands without one share."""

import logging
import os
from dataclasses import asdict, replace

import anyio

from gateway.audio.silero import SileroModel
from gateway.audio.speaker_model import SpeakerModel
from gateway.engine.api import EngineSpec, ModelDefaults, ReplicaOptions
from gateway.engine.batcher import Batcher, BatcherOptions
from gateway.engine.devices.cuda import choose, compute_types
from gateway.engine.devices.placement import Lanes, Machine, parse_devices, worker_environments
from gateway.engine.lifecycle import ModelPlan, ModelPolicy
from gateway.engine.whisper.engine import WhisperOptions, WhisperSpec
from gateway.errors import DeviceUnavailableError
from gateway.flow.options import Resources
from gateway.flow.recording import ROWS_AHEAD
from gateway.metrics import Metrics
from gateway.models.hub import Hub
from gateway.models.locate import locate, locate_default
from gateway.models.sources import Located
from gateway.models.speakers import weights
from gateway.settings import ModelSettings, Settings

logger = logging.getLogger(__name__)


def plan_models(settings: Settings) -> list[ModelPlan]:
    """The settings' models, found but not fetched yet; the best at hand where none is named.

    Raises:
        ModelUnavailableError: One of them cannot be had.
    """
    options = whisper_options(settings)
    hub = Hub()
    wanted = [*(ModelSettings(source=source) for source in settings.model), *settings.models]
    if not wanted:
        located = locate_default(hub, on_gpu=options.device == "cuda")
        return [_plan(located, ModelSettings(source="default"), options, settings, is_first=True)]
    return [
        _plan(locate(model.source, hub), model, options, settings, is_first=number == 0)
        for number, model in enumerate(wanted)
    ]


def _plan(
    located: Located, model: ModelSettings, options: WhisperOptions, settings: Settings, *, is_first: bool
) -> ModelPlan:
    name = model.name or located.name
    own = replace(
        options,
        beam_size=model.beam_size or options.beam_size,
        audio_context=model.audio_context or options.audio_context,
    )
    return ModelPlan(
        name,
        lambda: WhisperSpec(name, located.fetch(), **asdict(own)),
        ModelPolicy(
            pinned=is_first if model.pinned is None else model.pinned,
            idle_seconds=settings.idle_seconds,
            load_wait=settings.load_wait,
        ),
        located.progress,
        ModelDefaults(model.language, model.prompt),
        model.aliases,
    )


def find_spec(settings: Settings) -> EngineSpec:
    """The engine of the settings' first model, fetched where need be.

    Raises:
        ModelUnavailableError: It cannot be had.
    """
    return plan_models(settings)[0].find()


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
    lanes = _lanes(settings, on_gpu=bool(gpus), models=max(1, len(settings.model) + len(settings.models)))
    return WhisperOptions(
        device="cuda" if gpus else "cpu",
        compute_type=compute_type,
        lanes=lanes.count,
        cpu_threads=lanes.threads,
        max_batch=settings.max_batch or (16 if gpus else 8),
        beam_size=settings.beam_size,
        audio_context=settings.audio_context,
    )


def make_batcher(spec: EngineSpec, settings: Settings, metrics: Metrics, *, models: int = 1) -> Batcher:
    """A batcher on the settings' number of workers; they start when it runs.

    Args:
        models: How many share the machine.
    """
    options = BatcherOptions(
        max_rows=settings.max_streams * (ROWS_AHEAD + 2),
        bounds_calls=not settings.max_batch,
        replica=ReplicaOptions(row_timeout=settings.row_timeout),
    )
    on_gpu = spec.device == "cuda"
    named = [device for device in parse_devices(settings.devices) if (device is not None) == on_gpu]
    devices: list[int | None] = [*named] or [0 if on_gpu else None]
    environments = worker_environments(
        devices * settings.workers, Machine.here(), threads=_threads(settings, models=models)
    )
    return Batcher(spec, metrics, options, environments)


def load_speakers(settings: Settings) -> SpeakerModel:
    """The networks that tell speakers apart, fetched where need be.

    Raises:
        ModelUnavailableError: They cannot be had.
    """
    return SpeakerModel.load(weights.get(settings.speakers, Hub()))


def load_resources(metrics: Metrics) -> Resources:
    """What all transcriptions share; as many threads may cut recordings as there are cores."""
    return Resources(SileroModel.load(), anyio.CapacityLimiter(os.cpu_count() or 2), metrics)


def _threads(settings: Settings, *, models: int) -> int:
    """Threads of one worker: the cores, shared among all workers."""
    return Machine.here().threads(settings.cpu_threads, _workers(settings, models))


def _lanes(settings: Settings, *, on_gpu: bool, models: int) -> Lanes:
    if on_gpu:
        return Lanes(settings.lanes or 1, _threads(settings, models=models))
    workers = _workers(settings, models)
    return Machine.here().lanes(settings.lanes, wanted_threads=settings.cpu_threads, workers=workers)


def _workers(settings: Settings, models: int) -> int:
    return settings.workers * max(1, len(settings.devices)) * models
