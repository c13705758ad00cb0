"""Settings become options of Whisper as they say; what cannot be is one line."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.engine.whisper.engine import WhisperSpec
from gateway.errors import DeviceUnavailableError
from gateway.memory import available_bytes
from gateway.runtime.whisper import EXPRESS_SHARE, fitting, options_on_cluster, whisper_options
from gateway.settings import Settings
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


@pytest.mark.parametrize(
    ("wishes", "express"),
    [
        ({}, True),
        ({"express_worker": "off"}, False),
        ({"workers": 2}, False),
        ({"devices": ("cpu", "cpu")}, False),
    ],
)
def test_an_express_worker_is_for_one_that_is_alone(wishes: dict[str, Any], *, express: bool) -> None:
    """Who wants several workers has cores for each of them."""
    assert whisper_options(Settings.model_validate({"device": "cpu", **wishes})).express is express


@pytest.mark.parametrize(
    ("wish", "budget", "models", "express"),
    [
        ("auto", 0, 1, True),
        ("auto", 1, 1, False),
        ("on", 1, 1, True),
        ("auto", 0, 1_000_000, False),
    ],
)
def test_an_express_worker_that_fits(
    mini_whisper: WhisperSpec, wish: str, budget: int, models: int, *, express: bool
) -> None:
    """It takes the model's memory again, and nobody asked for it."""
    settings = Settings.model_validate({"express_worker": wish, "memory_budget": budget})
    both = replace(mini_whisper, express=True)
    alone = replace(mini_whisper, express=False)

    assert (alone.workers, both.workers) == (1, 2)
    assert 2 * both.memory_bytes < EXPRESS_SHARE * available_bytes() < 1_000_000 * both.memory_bytes
    assert fitting(both, settings, models=models).express is express
    assert not fitting(alone, settings, models=models).express


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
