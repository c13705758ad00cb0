"""cuBLAS is found in wheels and by the loader, and is then there for whoever opens its name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.engine.devices.cuda_libraries import other_versions
from tests.cuda_stubs import compile_library, hide_cublas

_PRELOAD = """
import ctypes
from gateway.engine.devices.cuda_libraries import preload
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
        timeout=120,
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
