"""What the driver says comes back through a process, and cuBLAS is found; stubs stand in for both."""

import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from gateway.engine.devices.cuda_probe import Gpu, Probe, other_versions
from tests import cuda_stubs
from tests.cuda_stubs import compile_library, hide_cublas


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


_PRELOAD = """
import ctypes
from gateway.engine.devices.cuda_probe import preload
print(preload())
print(ctypes.CDLL("libcublas.so.12").which())
"""


def _which(name: str) -> str:
    return f"int which(void) {{ return {name}; }}"


def _run(**environment: str) -> "subprocess.CompletedProcess[str]":
    """In a process of its own: a library that is loaded stays."""
    kept = {name: os.environ[name] for name in ("PATH", "COVERAGE_PROCESS_START") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", _PRELOAD],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_wheel(tmp_path: Path) -> None:
    """What a wheel holds is loaded from there, its companions first, and opened by its name later."""
    lib = tmp_path / "nvidia" / "cublas" / "lib"
    compile_library(lib / "libcublas.so.12", _which("7"))
    compile_library(lib / "libcublasLt.so.12")
    done = _run(PYTHONPATH=str(tmp_path))

    assert done.stdout.split() == ["None", "7"]


def test_the_loaders_own_comes_first(tmp_path: Path) -> None:
    """Who sets LD_LIBRARY_PATH means it."""
    compile_library(tmp_path / "nvidia" / "cublas" / "lib" / "libcublas.so.12", _which("7"))
    compile_library(tmp_path / "mine" / "libcublas.so.12", _which("8"))
    done = _run(PYTHONPATH=str(tmp_path), LD_LIBRARY_PATH=str(tmp_path / "mine"))

    assert done.stdout.split() == ["None", "8"]


def test_broken_everywhere(tmp_path: Path) -> None:
    """The loader's reason is told, nothing is raised."""
    done = _run(**hide_cublas(tmp_path))

    assert "libcublas.so.12: file too short" in done.stdout.splitlines()[0]


def test_broken_wheel(tmp_path: Path) -> None:
    """A file that is no library is told with its name."""
    hidden = hide_cublas(tmp_path)
    lib = tmp_path / "nvidia" / "cublas" / "lib"
    lib.mkdir(parents=True)
    (lib / "libcublas.so.12").write_bytes(b"half a download")
    done = _run(**hidden)

    assert str(lib / "libcublas.so.12") in done.stdout.splitlines()[0]


def test_other_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other major versions are seen in the wheels' folders and on LD_LIBRARY_PATH, each once."""
    wheel, mine = tmp_path / "nvidia" / "cu13" / "lib", tmp_path / "mine"
    for folder in (wheel, mine):
        folder.mkdir(parents=True)
    for path in (wheel / "libcublas.so.13", mine / "libcublas.so.11", mine / "libcublas.so.12"):
        path.touch()
    (mine / "libcublas.so.11.5.1").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(mine))

    assert {"libcublas.so.11", "libcublas.so.13"} <= set(other_versions())
    assert not {"libcublas.so.12", "libcublas.so.11.5.1"} & set(other_versions())
