"""A GPU that cannot be used says why and what to do; one that can is chosen; `auto` warns and goes on."""

import logging
from pathlib import Path
from typing import Literal

import pytest

from gateway.engine.devices import cuda
from gateway.engine.devices.cuda import Finding, advice, ask, choose, compute_types, findings
from gateway.engine.devices.cuda_probe import Gpu, Probe
from gateway.errors import DeviceUnavailableError
from tests import cuda_stubs

_AMPERE = Gpu(0, "A", (8, 6), 16 << 30)


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A driver and a cuBLAS."""
    return cuda_stubs.install(tmp_path_factory.mktemp("stubs"))


@pytest.fixture
def driver(stubs: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The stubs are what child processes find, and nvidia-smi is a trace of them; for more patches."""
    for name, value in cuda_stubs.variables(stubs).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    smi = stubs / "nvidia-smi"
    smi.touch()
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(stubs))
    return monkeypatch


def _problems(probe: Probe, **environment: str) -> list[str]:
    return [str(finding) for finding in findings(probe, environment) if finding.level == "problem"]


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        (Probe(no_driver="libcuda.so.1: cannot open"), ["No NVIDIA driver", "--gpus all"]),
        (Probe(driver_version=11040, gpus=(_AMPERE,)), ["CUDA 11.4", "12.0", "525"]),
        (
            Probe(driver_version=12080, error="CUDA_ERROR_X"),
            ["No GPU is visible", "CUDA_ERROR_X", "nvidia-smi"],
        ),
        (
            Probe(driver_version=12080, gpus=(_AMPERE,), no_cublas="libcublas.so.12 is not found"),
            ["libcublas.so.12 is not found", "pip install '.[cuda]'"],
        ),
        (
            Probe(driver_version=12080, gpus=(_AMPERE,), no_cublas="no", other_cublas=("libcublas.so.13",)),
            ["libcublas.so.13", "needs version 12", "pip install '.[cuda]'"],
        ),
        (
            Probe(driver_version=12080, gpus=(Gpu(0, "K", (5, 0), 1),)),
            ["too old", "5.3", "GATEWAY_DEVICE=cpu"],
        ),
        (Probe(driver_version=12040, gpus=(Gpu(0, "H", (9, 0), 1),)), ["CUDA 12.8", "12.4", "570"]),
    ],
)
def test_each_problem_says_why_and_what_to_do(probe: Probe, words: list[str]) -> None:
    """One line with the cause and the remedy."""
    (problem,) = _problems(probe)

    assert [word for word in words if word not in problem] == []
    assert "\n" not in problem


def test_hidden_gpus_name_the_variable() -> None:
    """CUDA_VISIBLE_DEVICES is the most common cause of a GPU that is not seen."""
    (problem,) = _problems(Probe(driver_version=12080, error="E"), CUDA_VISIBLE_DEVICES="-1")

    assert "CUDA_VISIBLE_DEVICES is '-1'" in problem


@pytest.mark.parametrize(
    ("capability", "driver_version"), [((8, 9), 12000), ((9, 0), 12080), ((5, 3), 12000)]
)
def test_what_can_be_used_is_no_problem(capability: tuple[int, int], driver_version: int) -> None:
    """At the edges of what CTranslate2's wheel was compiled for."""
    probe = Probe(driver_version=driver_version, gpus=(Gpu(0, "G", capability, 1),))

    assert {finding.level for finding in findings(probe)} == {"ok"}


def test_one_old_gpu_beside_a_good_one_is_a_warning() -> None:
    """The other one can be used."""
    probe = Probe(driver_version=12080, gpus=(_AMPERE, Gpu(1, "K", (3, 5), 1)))

    assert [finding.level for finding in findings(probe)] == ["warning", "ok", "ok"]


@pytest.mark.parametrize(
    ("capability", "known", "refused"),
    [
        ((8, 6), {"float16", "bfloat16", "int8_float16"}, {"int16"}),
        ((7, 5), {"float16", "int8"}, {"bfloat16"}),
        ((6, 1), {"int8", "float32"}, {"float16"}),
        ((6, 0), {"float32"}, {"int8", "float16"}),
    ],
)
def test_compute_types(capability: tuple[int, int], known: set[str], refused: set[str]) -> None:
    """As CTranslate2's table has them."""
    types = compute_types(Gpu(0, "G", capability, 1))

    assert known <= types
    assert not refused & types


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("CUDA failed with error out of memory", "smaller model"),
        ("Library libcublas.so.12 is not found or cannot be loaded", "pip install"),
        ("CUDA failed with error CUDA driver version is insufficient for CUDA runtime version", "525"),
        ("parallel_for failed: cudaErrorNoKernelImageForDevice: no kernel image is available", "too old"),
        ("CUDA failed with error no CUDA-capable device is detected", "CUDA_VISIBLE_DEVICES"),
        ("Requested float16 compute type, but the target device", "GATEWAY_COMPUTE_TYPE"),
        ("Invalid compute type: int7", "int8_float16"),
    ],
)
def test_advice(error: str, words: str) -> None:
    """What CTranslate2 says is answered with what to do."""
    assert words in str(advice(error))


def test_no_advice() -> None:
    """Other errors stay as they are."""
    with pytest.raises(ValueError, match=r"^something else$"), cuda.explained():
        raise ValueError("something else")


@pytest.mark.slow
def test_cpu_asks_nobody(driver: pytest.MonkeyPatch) -> None:
    """The CPU was asked for: no driver is started."""
    driver.setenv("STUB_CRASH", "1")

    assert choose("cpu", [0], "auto") == ()


@pytest.mark.slow
@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_gpu_is_chosen(driver: pytest.MonkeyPatch, device: Literal["auto", "cuda"]) -> None:
    """The named ones, in that order."""
    driver.setenv("STUB_GPUS", "3")

    assert [gpu.index for gpu in choose(device, [2, 0], "auto")] == [2, 0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("STUB_CRASH", "1", "crashes whoever asks"),
        ("STUB_DRIVER", "11020", "driver is too old"),
        ("STUB_INIT", "100", "CUDA_ERROR_NO_DEVICE"),
        ("STUB_GPUS", "0", "No GPU is visible"),
        ("STUB_CAPABILITY", "35", "too old"),
        ("STUB_CAPABILITY", "61", "GATEWAY_COMPUTE_TYPE float16 is not for"),
    ],
)
def test_unusable_gpu(
    driver: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, variable: str, value: str, words: str
) -> None:
    """`cuda` fails with the reason, `auto` warns with it once and takes the CPU."""
    driver.setenv(variable, value)
    with pytest.raises(DeviceUnavailableError, match=words) as caught:
        choose("cuda", [0], "float16")
    with caplog.at_level(logging.WARNING):
        gpus = choose("auto", [0], "float16")

    assert gpus == ()
    assert [record.getMessage() for record in caplog.records] == [
        f"NOT USING THE GPU, but the CPU: {caught.value}"
    ]
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_gpu_without_cublas(driver: pytest.MonkeyPatch, stubs: Path, tmp_path: Path) -> None:
    """The most common mistake: a GPU and its driver, but not the library."""
    hidden = cuda_stubs.hide_cublas(tmp_path)
    driver.setenv("LD_LIBRARY_PATH", f"{stubs}:{tmp_path}")
    driver.setenv("PYTHONPATH", hidden["PYTHONPATH"])
    with pytest.raises(DeviceUnavailableError, match=r"cuBLAS cannot be loaded: .*pip install '\.\[cuda\]'"):
        choose("cuda", [0], "auto")


@pytest.mark.slow
def test_absent_index(driver: pytest.MonkeyPatch) -> None:
    """The visible ones are listed."""
    driver.setenv("STUB_GPUS", "2")
    with pytest.raises(DeviceUnavailableError, match=r"cuda:2 was asked for, .* GPU 0 .* GPU 1"):
        choose("cuda", [0, 2], "auto")


@pytest.mark.slow
def test_hanging_driver(driver: pytest.MonkeyPatch) -> None:
    """A driver that does not come back costs the deadline and no more."""
    driver.setattr(cuda, "PROBE_SECONDS", 0.01)
    with pytest.raises(DeviceUnavailableError, match="does not answer"):
        ask()


def test_finding_in_words() -> None:
    """With and without a remedy."""
    assert str(Finding("problem", "It is broken", "Mend it")) == "It is broken. Mend it"
    assert str(Finding("ok", "It is whole")) == "It is whole"
