"""What the driver says comes back through a process, whatever it says; a stub answers in its place."""

import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from gateway.engine.devices.cuda_probe import Gpu, Probe
from tests import cuda_stubs


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A driver and a cuBLAS."""
    return cuda_stubs.install(tmp_path_factory.mktemp("stubs"))


def _probe(environment: dict[str, str]) -> Probe:
    done = subprocess.run(
        [sys.executable, "-m", "gateway.engine.devices.cuda_probe"],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return Probe.from_json(done.stdout)


def test_gpus(stubs: Path) -> None:
    """Each GPU with its name, capability and memory."""
    probe = _probe(cuda_stubs.variables(stubs, gpus="2", capability="120", driver="13000"))

    assert probe == Probe(
        driver_version=13000,
        gpus=tuple(Gpu(index, "Stub GPU", (12, 0), 16 << 30) for index in range(2)),
    )


def test_no_device(stubs: Path) -> None:
    """A driver that refuses is quoted by the name it gives its error; the version is known all the same."""
    probe = _probe(cuda_stubs.variables(stubs, init="100"))

    assert (probe.error, probe.driver_version, probe.gpus) == ("CUDA_ERROR_NO_DEVICE", 12080, ())


def test_error_without_a_name(stubs: Path) -> None:
    """The number will do."""
    assert _probe(cuda_stubs.variables(stubs, init="4711")).error == "error 4711"


def test_no_driver() -> None:
    """Where there is no driver, its library's name is told."""
    probe = _probe({})
    if probe.no_driver is None:
        pytest.skip("this machine has NVIDIA's driver")

    assert "libcuda.so.1" in probe.no_driver


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"gpus": [{}], "other_cublas": []}'])
def test_what_is_no_probe_is_refused(text: str) -> None:
    """Whatever else stands on the child's output."""
    with pytest.raises(ValueError, match=r"not a probe|Expecting value"):
        Probe.from_json(text)


def test_gpu_in_words() -> None:
    """As an operator would call it."""
    gpu = Gpu(1, "NVIDIA L4", (8, 9), 24 << 30)

    assert str(gpu) == "GPU 1 (NVIDIA L4, 24 GiB, compute capability 8.9)"
    assert asdict(gpu)["capability"] == (8, 9)
