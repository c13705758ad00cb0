"""Settings become options of Whisper as they say; what cannot be is one line."""

from pathlib import Path

import pytest

from gateway.errors import DeviceUnavailableError
from gateway.runtime.whisper import options_on_cluster, whisper_options
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
