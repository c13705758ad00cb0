"""The child process that asks NVIDIA's driver what there is, and prints it as JSON.

A process of its own, because asking starts the driver: that would hold the GPUs open in the server for good,
and a broken driver hangs or crashes whoever asks.
"""

import ctypes
import json
import sys
from dataclasses import asdict, dataclass
from typing import Any

from gateway.engine.devices import cuda_libraries

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


def probe() -> Probe:
    """Asks. Starts the driver in this process."""
    no_cublas = cuda_libraries.preload()
    other_cublas = tuple(cuda_libraries.other_versions()) if no_cublas else ()
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError as error:
        return Probe(no_driver=str(error), no_cublas=no_cublas, other_cublas=other_cublas)
    version = ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(version))  # works before cuInit, and where that fails
    error_name: str | None = None
    gpus: tuple[Gpu, ...] = ()
    if code := driver.cuInit(0):
        error_name = _error_name(driver, code)
    else:
        count = ctypes.c_int()
        driver.cuDeviceGetCount(ctypes.byref(count))
        gpus = tuple(_gpu(driver, index) for index in range(count.value))
    return Probe(
        driver_version=version.value,
        error=error_name,
        gpus=gpus,
        no_cublas=no_cublas,
        other_cublas=other_cublas,
    )


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


def main() -> None:
    """Prints the one line."""
    sys.stdout.write(json.dumps(asdict(probe())) + "\n")


if __name__ == "__main__":
    main()
