"""Which models are served, with which engines, in which order: plans, of which nothing is fetched yet."""

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from gateway import __version__
from gateway.engine.api import EngineSpec, ModelDefaults
from gateway.engine.devices.placement import lane_environment
from gateway.engine.lifecycle import ModelPlan, ModelPolicy
from gateway.engine.ray import cluster
from gateway.engine.ray.messages import Placement
from gateway.engine.ray.spec import RaySpec
from gateway.engine.upstream.address import is_upstream, parse_address
from gateway.engine.upstream.spec import LANES, UpstreamSpec
from gateway.engine.whisper.engine import WhisperOptions, WhisperSpec
from gateway.errors import ModelUnavailableError, StartError
from gateway.models.hub import Hub
from gateway.models.locate import locate, locate_default
from gateway.models.sources import Located
from gateway.nodes import load_whisper, name_of
from gateway.runtime.whisper import fitting, options_on_cluster, whisper_options
from gateway.settings import ModelSettings, Settings


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
        _check_replicas(settings)
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
    local = sum(not is_upstream(model.source) for model in wanted)
    return [
        _plan_upstream(model, settings, is_first=number == 0)
        if is_upstream(model.source)
        else _plan(locate(model.source, hub), model, options, settings, is_first=number == 0, models=local)
        for number, model in enumerate(wanted)
    ]


def _check_replicas(settings: Settings) -> None:
    """Replicas can be had as they are wanted; Ray itself says so when the first is asked for, to nobody.

    Raises:
        StartError: They cannot.
    """
    if 0 < settings.ray_max_replicas < settings.ray_replicas:
        raise StartError(
            f"GATEWAY_RAY_MAX_REPLICAS is {settings.ray_max_replicas}, fewer than the "
            f"{settings.ray_replicas} of GATEWAY_RAY_REPLICAS"
        )
    for name, amount in (("CPUS", settings.ray_cpus), ("GPUS", settings.ray_gpus)):
        if amount != round(amount, 4):
            raise StartError(f"GATEWAY_RAY_{name} is {amount:g}, but Ray counts in steps of 0.0001")
    if settings.ray_gpus > 1 and not settings.ray_gpus.is_integer():
        raise StartError(f"GATEWAY_RAY_GPUS is {settings.ray_gpus:g}, but more than one are whole ones")


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
        _header_key((settings.upstream_key if model.key is None else model.key).get_secret_value(), name),
        settings.upstream_timeout,
        settings.lanes or LANES,
    )


def _header_key(key: str, name: str) -> str:
    """The key without the line's end that files and secrets of clusters have behind it."""
    key = key.strip()
    if not (key.isascii() and key.isprintable()):
        raise ModelUnavailableError(
            f"the key of the upstream {name} has characters that no HTTP header can have: it comes from "
            "GATEWAY_UPSTREAM_KEY, or `key` of the model in the settings file"
        )
    return key


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
    located: Located,
    model: ModelSettings,
    options: WhisperOptions,
    settings: Settings,
    *,
    is_first: bool,
    models: int = 1,
) -> ModelPlan:
    name = model.name or located.name
    own = _own_options(options, model)
    return ModelPlan(
        name,
        lambda: fitting(WhisperSpec(name, located.fetch(), **asdict(own)), settings, models=models),
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
