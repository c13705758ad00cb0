"""From settings to engines on worker processes: what the server and commands without one share."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import anyio

from gateway.audio.silero import SileroModel
from gateway.engine.api import EngineSpec, ModelDefaults
from gateway.engine.batcher import Batcher, BatcherOptions
from gateway.engine.devices.cuda import DeviceUnavailableError, choose, compute_types
from gateway.engine.devices.placement import Machine, parse_devices, worker_environments
from gateway.engine.lifecycle import ModelPolicy
from gateway.engine.replica import ReplicaOptions
from gateway.engine.whisper.engine import WhisperSpec
from gateway.flow.options import Resources
from gateway.flow.recording import ROWS_AHEAD
from gateway.metrics import Metrics
from gateway.models.hub import Hub
from gateway.models.locate import Located, WhisperOptions, default_spec, locate, locate_default
from gateway.settings import ModelSettings, Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """A model to serve, and how.

    Attributes:
        find: Finds or fetches it, in a thread.
        progress: How far that is.
        aliases: Further names it answers to.
    """

    name: str
    find: Callable[[], EngineSpec]
    policy: ModelPolicy
    progress: Callable[[], str | None] = lambda: None
    defaults: ModelDefaults = field(default_factory=ModelDefaults)
    aliases: tuple[str, ...] = ()


def plan_models(settings: Settings) -> list[ModelPlan]:
    """The settings' models, found but not fetched yet; the best at hand where none is named.

    Raises:
        ModelUnavailableError: One of them cannot be had.
    """
    options = whisper_options(settings)
    hub = Hub()
    wanted = [*(ModelSettings(source=source) for source in settings.model), *settings.models]
    if not wanted:
        return [_plan(locate_default(options, hub), ModelSettings(source="default"), settings, is_first=True)]
    return [
        _plan(
            locate(model.source, _options_of(model, options), hub),
            model,
            settings,
            is_first=number == 0,
        )
        for number, model in enumerate(wanted)
    ]


def _plan(located: Located, model: ModelSettings, settings: Settings, *, is_first: bool) -> ModelPlan:
    name = model.name or located.name

    def find() -> EngineSpec:
        spec = located.fetch()
        return spec if spec.name == name else replace(spec, name=name)  # type: ignore[type-var]  # a dataclass

    return ModelPlan(
        name,
        find,
        ModelPolicy(
            pinned=is_first if model.pinned is None else model.pinned,
            idle_seconds=settings.idle_seconds,
            wait_seconds=settings.load_wait,
        ),
        located.progress,
        ModelDefaults(model.language, model.prompt),
        model.aliases,
    )


def _options_of(model: ModelSettings, options: WhisperOptions) -> WhisperOptions:
    return replace(
        options,
        beam_size=model.beam_size or options.beam_size,
        audio_context=model.audio_context or options.audio_context,
    )


def find_specs(settings: Settings) -> list[EngineSpec]:
    """The engines of the settings' models, fetched where need be.

    Raises:
        ModelUnavailableError: One of them cannot be had.
    """
    if not settings.model and not settings.models:
        return [default_spec(whisper_options(settings), Hub())]
    return [plan.find() for plan in plan_models(settings)]


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
    return WhisperOptions(
        device="cuda" if gpus else "cpu",
        compute_type=settings.compute_type,
        half_precision=all("float16" in compute_types(gpu) for gpu in gpus),
        cpu_threads=_threads(settings, models=max(1, len(settings.model) + len(settings.models))),
        max_batch=settings.max_batch,
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
        replica=ReplicaOptions(row_seconds=settings.row_timeout),
    )
    on_gpu = isinstance(spec, WhisperSpec) and spec.device == "cuda"
    named = [device for device in parse_devices(settings.devices) if (device is not None) == on_gpu]
    devices: list[int | None] = [*named] or [0 if on_gpu else None]
    environments = worker_environments(
        devices * settings.workers, Machine.here(), threads=_threads(settings, models=models)
    )
    return Batcher(spec, metrics, options, environments)


def load_resources(metrics: Metrics) -> Resources:
    """What all transcriptions share; as many threads may cut recordings as there are cores."""
    return Resources(SileroModel.load(), anyio.CapacityLimiter(os.cpu_count() or 2), metrics)


def _threads(settings: Settings, *, models: int) -> int:
    """Threads of one worker: the cores, shared among all workers."""
    workers = settings.workers * max(1, len(settings.devices)) * models
    return Machine.here().threads(settings.cpu_threads, workers)
