"""NVIDIA's driver and cuBLAS as small libraries of the same names, compiled on the spot."""

import shutil
import subprocess
from pathlib import Path

import pytest

DRIVER = """
#include <stdlib.h>
#include <string.h>
static int number(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}
int cuDriverGetVersion(int *version) { *version = number("STUB_DRIVER", 12080); return 0; }
int cuInit(unsigned flags) {
    if (getenv("STUB_CRASH")) abort();
    return number("STUB_INIT", 0);
}
int cuGetErrorName(int code, const char **name) {
    *name = code == 100 ? "CUDA_ERROR_NO_DEVICE" : NULL;
    return 0;
}
int cuDeviceGetCount(int *count) { *count = number("STUB_GPUS", 1); return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int size, int device) { strncpy(name, "Stub GPU", size); return 0; }
int cuDeviceTotalMem_v2(size_t *size, int device) { *size = (size_t)16 << 30; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    int capability = number("STUB_CAPABILITY", 86);
    *value = attribute == 75 ? capability / 10 : capability % 10;
    return 0;
}
"""
"""Answers what the variables STUB_... say; by default one GPU of capability 8.6 and CUDA 12.8."""


def compile_library(path: Path, code: str = "int stub(void) { return 1; }") -> Path:
    """Makes ``path`` a shared library called as its file; skips the test where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", str(path), f"-Wl,-soname,{path.name}"]
    subprocess.run(command, input=code, text=True, check=True)
    return path


def install(folder: Path) -> Path:
    """Puts the driver into ``folder``, for LD_LIBRARY_PATH, and cuBLAS into a wheel's folders below it."""
    compile_library(folder / "libcuda.so.1", DRIVER)
    compile_library(folder / "site" / "nvidia" / "cublas" / "lib" / "libcublas.so.12")
    return folder


def hide_cublas(folder: Path) -> dict[str, str]:
    """The environment in which there is none, whatever the machine has: a broken one is found first."""
    (folder / "nvidia").mkdir(parents=True)
    (folder / "nvidia" / "__init__.py").touch()  # hides the wheels
    (folder / "libcublas.so.12").write_bytes(b"half a download")
    return {"LD_LIBRARY_PATH": str(folder), "PYTHONPATH": str(folder)}


def variables(folder: Path, **stub: str) -> dict[str, str]:
    """The environment that shows what `install` put into ``folder`` to a child process."""
    return {
        "LD_LIBRARY_PATH": str(folder),
        "PYTHONPATH": str(folder / "site"),
        **{f"STUB_{name.upper()}": value for name, value in stub.items()},
    }
