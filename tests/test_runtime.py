"""Settings become options, devices and workers as they say; what cannot be is one line."""

import os
from pathlib import Path

import anyio
import pytest
from pydantic import SecretStr

from gateway.engine.upstream.spec import UpstreamSpec
from gateway.engine.whisper.engine import WhisperSpec
from gateway.errors import DeviceUnavailableError, ModelUnavailableError, StartError
from gateway.metrics import Metrics
from gateway.runtime import find_spec, make_batcher, options_on_cluster, plan_models, whisper_options
from gateway.settings import ModelSettings, Settings
from tests import cuda_stubs


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A driver and a cuBLAS."""
    return cuda_stubs.install(tmp_path_factory.mktemp("stubs"))


def test_cpu() -> None:
    """Nobody is asked for GPUs; the threads are the operator's, one for each lane."""
    options = whisper_options(Settings(device="cpu", cpu_threads=3, compute_type="float32"))

    assert (options.device, options.compute_type) == ("cpu", "float32")
    assert (options.lanes, options.cpu_threads) == (3, 1)


def test_what_nobody_set() -> None:
    """The defaults of a CPU."""
    options = whisper_options(Settings(device="cpu"))

    assert (options.compute_type, options.max_batch, options.beam_size) == ("int8", 8, 5)


def test_options_reach_the_spec(mini_whisper: WhisperSpec) -> None:
    """What the operator set goes to the folder's engine."""
    settings = Settings(
        device="cpu",
        model=(str(mini_whisper.path),),
        compute_type="float32",
        lanes=2,
        cpu_threads=6,
        max_batch=5,
        beam_size=1,
        audio_context="fit",
    )
    spec = find_spec(settings)

    assert isinstance(spec, WhisperSpec)
    assert (spec.name, spec.path, spec.device) == ("model", mini_whisper.path, "cpu")
    assert (spec.compute_type, spec.lanes, spec.cpu_threads) == ("float32", 2, 3)
    assert (spec.max_batch, spec.beam_size) == (5, 1)
    assert spec.audio_context == "fit"


def test_a_model_s_own_settings_go_first(mini_whisper: WhisperSpec) -> None:
    """Beam and context are each model's; unset ones are the server's."""
    source = str(mini_whisper.path)
    own = ModelSettings(source=source, name="own", beam_size=2, audio_context="full")
    settings = Settings(device="cpu", audio_context="fit", models=(ModelSettings(source=source), own))
    specs = [plan.find() for plan in plan_models(settings)]

    assert all(isinstance(spec, WhisperSpec) for spec in specs)
    assert [(spec.beam_size, spec.audio_context) for spec in specs if isinstance(spec, WhisperSpec)] == [
        (5, "fit"),
        (2, "full"),
    ]


def test_upstreams(mini_whisper: WhisperSpec) -> None:
    """A source of that kind is served over the network; its key is its own or the server's, and not shown."""
    own = ModelSettings(source="openai:https://c/v1#whisper-1", name="c", key=SecretStr("sk-own"))
    settings = Settings(
        device="cpu",
        model=("asr=openai:https://a/v1+https://b/v1#large", str(mini_whisper.path)),
        models=(own,),
        upstream_key=SecretStr("sk-all"),
        upstream_timeout=9.0,
        lanes=3,
    )
    plans = plan_models(settings)
    first, _, third = (plan.find() for plan in plans)

    assert first == UpstreamSpec("asr", ("https://a/v1", "https://b/v1"), "large", "sk-all", 9.0, 3)
    assert third == UpstreamSpec("c", ("https://c/v1",), "whisper-1", "sk-own", 9.0, 3)
    assert [plan.is_remote for plan in plans] == [True, False, True]
    assert len(make_batcher(first, settings, Metrics()).state) == 2
    assert "sk-" not in f"{settings!r} {first!r}"


@pytest.mark.parametrize(
    "source", ["openai:https://host/v1", "openai:host/v1#m", "x=openai:https://k@host/v1"]
)
def test_bad_upstreams(source: str) -> None:
    """Are one line, before anything is asked."""
    with pytest.raises(ModelUnavailableError):
        plan_models(Settings(model=(source,)))


@pytest.mark.slow
@pytest.mark.parametrize(("capability", "compute_type"), [("86", "float16"), ("61", "auto")])
def test_gpu(stubs: Path, monkeypatch: pytest.MonkeyPatch, capability: str, compute_type: str) -> None:
    """Named devices are looked for. Old ones, slow in float16, leave the choice to CTranslate2."""
    for name, value in cuda_stubs.variables(stubs, gpus="2", capability=capability).items():
        monkeypatch.setenv(name, value)
    options = whisper_options(Settings(devices=("cuda:0", "cuda:1")))
    forced = whisper_options(Settings(devices=("cuda:0",), compute_type="float32"))

    assert (options.device, options.compute_type, options.max_batch) == ("cuda", compute_type, 16)
    assert forced.compute_type == "float32"
    with pytest.raises(DeviceUnavailableError, match="cuda:2 was asked for"):
        whisper_options(Settings(devices=("cuda:2",)))


@pytest.mark.parametrize(
    ("device", "devices", "words"),
    [
        ("cpu", ("cuda:0",), "GATEWAY_DEVICE is cpu, but GATEWAY_DEVICES is cuda:0"),
        ("cuda", ("cpu",), "GATEWAY_DEVICE is cuda, but GATEWAY_DEVICES is cpu"),
        ("auto", ("cpu", "cuda:0"), "mixes"),
        ("auto", ("tpu",), "'tpu' is no device"),
    ],
)
def test_contradictions(device: str, devices: tuple[str, ...], words: str) -> None:
    """They are refused, not resolved."""
    settings = Settings.model_validate({"device": device, "devices": devices})
    with pytest.raises(DeviceUnavailableError, match=words):
        whisper_options(settings)


@pytest.mark.parametrize("wish", [{"workers": 2}, {"devices": "cpu,cpu"}])
def test_a_cluster_takes_no_wishes_for_this_machine(wish: dict[str, object]) -> None:
    """They would be ignored."""
    settings = Settings.model_validate({"engines": "ray:auto", **wish})
    with pytest.raises(StartError, match="GATEWAY_RAY_REPLICAS"):
        plan_models(settings)


@pytest.mark.parametrize(
    ("wish", "device", "compute_type", "lanes", "threads"),
    [
        ({}, "cpu", "int8", 1, 1),
        ({"ray_cpus": 4}, "cpu", "int8", 4, 4),
        ({"ray_cpus": 4, "cpu_threads": 4}, "cpu", "int8", 4, 1),
        ({"ray_gpus": 0.5}, "cuda", "float16", 1, 1),
        ({"ray_gpus": 1, "compute_type": "int8_float16", "lanes": 2}, "cuda", "int8_float16", 2, 1),
    ],
)
def test_a_replica_uses_what_it_gets(
    wish: dict[str, object], device: str, compute_type: str, lanes: int, threads: int
) -> None:
    """Of a node, whatever this machine has."""
    options = options_on_cluster(Settings.model_validate({"engines": "ray:auto", **wish}))

    assert (options.device, options.compute_type) == (device, compute_type)
    assert (options.lanes, options.cpu_threads) == (lanes, threads)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system pins no process")
@pytest.mark.parametrize(
    ("devices", "workers", "processes"), [((), 1, 1), (("cpu", "cpu"), 1, 2), ((), 2, 2)]
)
async def test_cpu_workers(
    mini_whisper: WhisperSpec, devices: tuple[str, ...], workers: int, processes: int
) -> None:
    """As many as devices times workers; several have cores of their own, if there are so many."""
    settings = Settings(devices=devices, workers=workers)
    batcher = make_batcher(mini_whisper, settings, Metrics())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(batcher.run)
        await batcher.wait_ready()
        await batcher.changed.until(lambda: all(status.state.serves for status in batcher.state))
        cores = [os.sched_getaffinity(status.pid or 0) for status in batcher.state]
        tasks.cancel_scope.cancel()
    ours = os.sched_getaffinity(0)

    assert len(cores) == processes
    if processes == 1 or len(ours) < processes:
        assert all(kept == ours for kept in cores)
    else:
        assert not set.intersection(*cores)
        assert set.union(*cores) <= ours


def test_gpu_workers(mini_whisper: WhisperSpec) -> None:
    """Each GPU has its workers, and a model for the CPU beside them its own."""
    settings = Settings(devices=("cuda:0", "cuda:1"), workers=2)
    on_gpu = WhisperSpec(name="gpu", path=mini_whisper.path, device="cuda")

    assert len(make_batcher(on_gpu, settings, Metrics()).state) == 4
    assert len(make_batcher(mini_whisper, settings, Metrics()).state) == 2
