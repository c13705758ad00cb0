"""From settings to engines on worker processes: what the server and commands without one share."""

import logging
import math
import os
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import anyio

from gateway import __version__
from gateway.audio.silero import SileroModel
from gateway.audio.speaker_model import SpeakerModel
from gateway.engine.api import EngineSpec, ModelDefaults, ReplicaOptions
from gateway.engine.batcher import Batcher, BatcherOptions
from gateway.engine.devices.cuda import choose, compute_types
from gateway.engine.devices.placement import (
    Lanes,
    Machine,
    lane_environment,
    parse_devices,
    worker_environments,
)
from gateway.engine.lifecycle import ModelPlan, ModelPolicy
from gateway.engine.ray import cluster
from gateway.engine.ray.messages import Placement
from gateway.engine.ray.spec import RaySpec
from gateway.engine.upstream.address import is_upstream, parse_address
from gateway.engine.upstream.spec import LANES, UpstreamSpec
from gateway.engine.whisper.engine import WhisperOptions, WhisperSpec
from gateway.errors import DeviceUnavailableError, ModelUnavailableError, StartError
from gateway.flow.options import Resources
from gateway.flow.recording import ROWS_AHEAD
from gateway.metrics import Metrics
from gateway.models.hub import Hub
from gateway.models.locate import locate, locate_default
from gateway.models.sources import Located
from gateway.models.speakers import weights
from gateway.nodes import load_whisper, name_of
from gateway.settings import ModelSettings, Settings

logger = logging.getLogger(__name__)


def plan_models(settings: Settings) -> list[ModelPlan]:
    """The settings' models, found but not fetched yet; the best at hand where none is named.

    Raises:
        ModelUnavailableError: One of them cannot be had.
        StartError: They are to run on a cluster, and it cannot be joined.
    """
    wanted = [*(ModelSettings(source=source) for source in settings.model), *settings.models]
    if address := cluster.address_of(settings.engines):
        if settings.workers > 1 or settings.devices:
            raise StartError(
                "GATEWAY_WORKERS and GATEWAY_DEVICES are of one machine, and GATEWAY_ENGINES of many: "
                "GATEWAY_RAY_REPLICAS, GATEWAY_RAY_CPUS and GATEWAY_RAY_GPUS say how many and where"
            )
        cluster.join(address, settings.ray_namespace)
        # Whatever this machine has: the weights are wanted where the replicas are.
        usual = ModelSettings(source="large-v3-turbo" if settings.ray_gpus else "base")
        return [
            (_plan_upstream if is_upstream(model.source) else _plan_on_cluster)(
                model, settings, is_first=number == 0
            )
            for number, model in enumerate(wanted or [usual])
        ]
    if all(is_upstream(model.source) for model in wanted) and wanted:
        options = WhisperOptions()  # for nobody: no device is looked for
    else:
        options = whisper_options(settings)
    hub = Hub()
    if not wanted:
        located = locate_default(hub, on_gpu=options.device == "cuda")
        return [_plan(located, ModelSettings(source="default"), options, settings, is_first=True)]
    return [
        _plan_upstream(model, settings, is_first=number == 0)
        if is_upstream(model.source)
        else _plan(locate(model.source, hub), model, options, settings, is_first=number == 0)
        for number, model in enumerate(wanted)
    ]


def upstream_spec(model: ModelSettings, settings: Settings) -> UpstreamSpec:
    """The engine of a model that somebody else serves.

    Raises:
        ModelUnavailableError: Its source cannot be right.
    """
    address = parse_address(model.source)
    name = model.name or address.name or address.model
    if name is None:
        raise ModelUnavailableError(
            f"the upstream {address.urls[0]} needs a name: name=openai:URL, or openai:URL#model"
        )
    return UpstreamSpec(
        name,
        address.urls,
        address.model,
        (settings.upstream_key if model.key is None else model.key).get_secret_value(),
        settings.upstream_timeout,
        settings.lanes or LANES,
    )


def _plan_upstream(model: ModelSettings, settings: Settings, *, is_first: bool) -> ModelPlan:
    spec = upstream_spec(model, settings)
    return ModelPlan(
        spec.name,
        lambda: spec,
        _policy(model, settings, is_first=is_first),
        defaults=ModelDefaults(model.language, model.prompt),
        aliases=model.aliases,
        is_remote=True,
    )


def _policy(model: ModelSettings, settings: Settings, *, is_first: bool) -> ModelPolicy:
    return ModelPolicy(
        pinned=is_first if model.pinned is None else model.pinned,
        idle_seconds=settings.idle_seconds,
        load_wait=settings.load_wait,
    )


def _plan(
    located: Located, model: ModelSettings, options: WhisperOptions, settings: Settings, *, is_first: bool
) -> ModelPlan:
    name = model.name or located.name
    own = _own_options(options, model)
    return ModelPlan(
        name,
        lambda: WhisperSpec(name, located.fetch(), **asdict(own)),
        _policy(model, settings, is_first=is_first),
        located.progress,
        ModelDefaults(model.language, model.prompt),
        model.aliases,
    )


def _plan_on_cluster(model: ModelSettings, settings: Settings, *, is_first: bool) -> ModelPlan:
    name = model.name or name_of(model.source)
    options = _own_options(options_on_cluster(settings), model)
    spec = WhisperSpec(name, Path(model.source), **asdict(options))
    return ModelPlan(
        name,
        lambda: RaySpec(
            spec,
            partial(load_whisper, model.source, spec),
            Placement(
                settings.ray_cpus,
                settings.ray_gpus,
                settings.ray_replicas,
                max(settings.ray_replicas, settings.ray_max_replicas),
                settings.ray_up_seconds,
                settings.ray_down_seconds,
                settings.ray_linger,
            ),
            lane_environment(options.cpu_threads),
            settings.ray_namespace,
            settings.ray_revision,
            __version__,
            settings.ray_silence,
        ),
        _policy(model, settings, is_first=is_first),
        defaults=ModelDefaults(model.language, model.prompt),
        aliases=model.aliases,
        is_remote=True,
    )


def _own_options(options: WhisperOptions, model: ModelSettings) -> WhisperOptions:
    return replace(
        options,
        beam_size=model.beam_size or options.beam_size,
        audio_context=model.audio_context or options.audio_context,
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
    sources = [*settings.model, *(model.source for model in settings.models)]
    local = sum(not is_upstream(source) for source in sources)
    lanes = _lanes(settings, on_gpu=bool(gpus), models=local)
    return WhisperOptions(
        device="cuda" if gpus else "cpu",
        compute_type=compute_type,
        lanes=lanes.count,
        cpu_threads=lanes.threads,
        max_batch=settings.max_batch or (16 if gpus else 8),
        beam_size=settings.beam_size,
        audio_context=settings.audio_context,
    )


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
    return settings.workers * max(1, len(settings.devices)) * max(1, models)
