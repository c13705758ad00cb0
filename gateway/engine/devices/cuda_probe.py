"""What CUDA there is: its libraries, loaded for CTranslate2, and, in a child process, what the driver says.

CTranslate2 opens libraries by name. They are found in NVIDIA's wheels, so nobody sets LD_LIBRARY_PATH. Its
own wheel holds the CUDA runtime, and opens ``libcublas.so.12`` when a GPU first multiplies;
since 4.7.1 it uses no cuDNN: its library does not even hold the name.

The driver is asked in a process of its own, which prints JSON, because asking starts the driver: that would
hold the GPUs open in the server for good, and a broken driver hangs or crashes whoever asks.
"""

import ctypes
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NEEDED = "libcublas.so.12"

_COMPANIONS = ("libnvrtc.so.12", "libcublasLt.so.12")
"""What cuBLAS itself opens by name or is linked to, in the order in which they must be there."""

_SYSTEM_FOLDERS = ("/usr/local/cuda*/lib64", "/usr/local/cuda*/lib", "/usr/lib/*-linux-gnu", "/usr/lib64")

_DRIVER = "libcuda.so.1"
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76
"""CUdevice_attribute, as in cuda.h."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as the driver shows it to this process.

    Attributes:
        index: Among those that CUDA_VISIBLE_DEVICES leaves.
        capability: Its compute capability, as (8, 6).
    """

    index: int
    name: str
    capability: tuple[int, int]
    memory_bytes: int

    def __str__(self) -> str:
        size, (major, minor) = self.memory_bytes / 2**30, self.capability
        return f"GPU {self.index} ({self.name}, {size:.0f} GiB, compute capability {major}.{minor})"


@dataclass(frozen=True, slots=True)
class Probe:
    """What the driver and the loader said.

    Attributes:
        no_driver: Why the driver's library cannot be loaded.
        driver_version: The newest CUDA it supports: 12080 is 12.8.
        error: What the driver refused with, by its own name.
        no_cublas: Why cuBLAS cannot be loaded.
        other_cublas: Those of other major versions.
    """

    no_driver: str | None = None
    driver_version: int = 0
    error: str | None = None
    gpus: tuple[Gpu, ...] = ()
    no_cublas: str | None = None
    other_cublas: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, text: str) -> "Probe":
        """What `main` printed.

        Raises:
            ValueError: It is something else.
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            gpus = tuple(Gpu(**{**gpu, "capability": tuple(gpu["capability"])}) for gpu in fields.pop("gpus"))
            return cls(**{**fields, "gpus": gpus, "other_cublas": tuple(fields["other_cublas"])})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("not a probe") from error


def preload() -> str | None:
    """Loads cuBLAS into this process, from where the system's loader finds it, else from NVIDIA's wheels.

    The loader gives a library that is loaded to whoever opens its name later, so CTranslate2 gets this one.

    Returns:
        Why it cannot be loaded, or None.
    """
    reason = _load(NEEDED)
    if reason is None:
        return None
    for name in _COMPANIONS:
        for path in _in_wheels(name):
            # A companion that is missing or broken is told by cuBLAS below, if it is needed at all.
            _load(str(path))
    for path in _in_wheels(NEEDED):
        reason = _load(str(path))
        if reason is None:
            return None
    return reason


def other_versions() -> list[str]:
    """Names of the cuBLAS libraries of other major versions that lie about, as ``libcublas.so.13``."""
    names = {
        path.name
        for folder in (*_wheel_folders(), *_system_folders())
        for path in folder.glob("libcublas.so.*")
        if path.name.removeprefix("libcublas.so.").isdigit()
    }
    return sorted(names - {NEEDED})


def probe() -> Probe:
    """Asks. Starts the driver in this process."""
    no_cublas = preload()
    found = Probe(no_cublas=no_cublas, other_cublas=tuple(other_versions()) if no_cublas else ())
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError as error:
        return replace(found, no_driver=str(error))
    version, count = ctypes.c_int(), ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(version))  # works before cuInit, and where that fails
    found = replace(found, driver_version=version.value)
    if code := driver.cuInit(0):
        return replace(found, error=_error_name(driver, code))
    driver.cuDeviceGetCount(ctypes.byref(count))
    return replace(found, gpus=tuple(_gpu(driver, index) for index in range(count.value)))


def _gpu(driver: ctypes.CDLL, index: int) -> Gpu:
    device, number, size = ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
    name = ctypes.create_string_buffer(256)
    driver.cuDeviceGet(ctypes.byref(device), index)
    driver.cuDeviceGetName(name, len(name), device)
    driver.cuDeviceTotalMem_v2(ctypes.byref(size), device)
    capability = []
    for attribute in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR):
        driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, device)
        capability.append(number.value)
    return Gpu(index, name.value.decode(errors="replace"), (capability[0], capability[1]), size.value)


def _error_name(driver: ctypes.CDLL, code: int) -> str:
    name = ctypes.c_char_p()
    driver.cuGetErrorName(code, ctypes.byref(name))
    return name.value.decode(errors="replace") if name.value else f"error {code}"


def _load(name: str) -> str | None:
    # RTLD_LOCAL, the default: CTranslate2 exports wrappers of the same names as cuBLAS' functions.
    try:
        ctypes.CDLL(name)
    except OSError as error:
        return str(error)
    return None


def _in_wheels(name: str) -> list[Path]:
    return [folder / name for folder in _wheel_folders() if (folder / name).is_file()]


def _wheel_folders() -> list[Path]:
    """``nvidia/cublas/lib`` and its like: `nvidia` is a namespace that the wheels share."""
    spec = None
    with suppress(ImportError, ValueError):
        spec = find_spec("nvidia")
    roots = (spec.submodule_search_locations or ()) if spec else ()
    return sorted(folder for root in roots for folder in Path(root).glob("*/lib"))


def _system_folders() -> Iterator[Path]:
    for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":"):
        if folder:
            yield Path(folder)
    for pattern in _SYSTEM_FOLDERS:
        yield from Path("/").glob(pattern.removeprefix("/"))


def main() -> None:
    """Prints the one line."""
    sys.stdout.write(json.dumps(asdict(probe())) + "\n")


if __name__ == "__main__":
    main()
