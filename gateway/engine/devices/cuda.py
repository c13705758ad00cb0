"""Whether a GPU can be used, and if not, why and what to do: one list of findings for start and doctor."""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.engine.devices.cuda_probe import Gpu, Probe
from gateway.errors import DeviceUnavailableError

Level = Literal["ok", "warning", "problem"]

MIN_CAPABILITY = (5, 3)
"""The oldest kernels in CTranslate2's wheel (read from the fat binaries of 4.8.5: 5.3 to 8.6)."""

JIT_CAPABILITY = (9, 0)
"""From here on the driver compiles the wheel's PTX of 8.6 for the GPU; 8.9 still runs its machine code."""

MIN_DRIVER, JIT_DRIVER = 12_000, 12_080
"""CUDA that the driver must support: any 12 (minor version compatibility); 12.8 to read PTX 8.7."""

PROBE_SECONDS = 20.0
"""Starting the driver takes up to some seconds where no persistence daemon keeps it awake."""

DEVICE_ORDER = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
"""So that cuda:1 is the GPU that nvidia-smi calls 1, and not the second fastest."""

_INSTALL = "pip install '.[cuda]' (or: pip install nvidia-cublas-cu12)"
_GET_DRIVER = "Install NVIDIA's driver 525 or newer; in a container, start it with --gpus all"
_COMPUTE_TYPES = "auto, int8, int8_float16, int8_bfloat16, int8_float32, float16, bfloat16, float32"

_ADVICE = (
    ("out of memory", "Free some memory, take a smaller model, or set GATEWAY_COMPUTE_TYPE to int8_float16"),
    ("libcublas", f"Install CTranslate2's CUDA libraries: {_INSTALL}"),
    ("driver version is insufficient", "Update NVIDIA's driver to 525 or newer"),
    ("unsupported toolchain", "Update NVIDIA's driver to 570 or newer"),
    ("no kernel image", "This GPU is too old for CTranslate2's wheel: set GATEWAY_DEVICE=cpu"),
    ("no cuda-capable device", "Look at CUDA_VISIBLE_DEVICES, or set GATEWAY_DEVICE=cpu"),
    ("compute type", f"Set GATEWAY_COMPUTE_TYPE to auto, or to another of: {_COMPUTE_TYPES}"),
)
"""What to do about what CTranslate2 says, by words of it in lower case."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        remedy: What to do about it.
    """

    level: Level
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.text}. {self.remedy}" if self.remedy else self.text


def seems_present() -> bool:
    """Whether there is any trace of an NVIDIA GPU; costs nothing, and starts nothing."""
    # The last one is Windows' subsystem for Linux.
    traces = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg")
    return any(map(os.path.exists, traces)) or shutil.which("nvidia-smi") is not None


def ask() -> Probe:
    """Asks the driver, in a process of its own.

    Raises:
        DeviceUnavailableError: It hangs or crashes.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "gateway.engine.devices.cuda_probe"],
            env={**DEVICE_ORDER, **os.environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=PROBE_SECONDS,
        )
        return Probe.from_json(done.stdout)
    except subprocess.TimeoutExpired:
        said = f"does not answer within {PROBE_SECONDS:g} s"
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["without a word"])[-1]
        said = f"crashes whoever asks it (exit status {done.returncode}, {last})"
    raise DeviceUnavailableError(
        f"NVIDIA's driver {said}. See whether nvidia-smi answers; if not, restart the machine or the driver"
    )


def findings(probe: Probe, environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """What was found, the worst first; one that is a problem keeps every GPU from being used."""
    found = [*_driver_findings(probe, environment), *_library_findings(probe)]
    troubles = [unusable(gpu, probe.driver_version) for gpu in probe.gpus]
    level: Level = "problem" if all(troubles) else "warning"
    for gpu, trouble in zip(probe.gpus, troubles, strict=True):
        found.append(Finding(level, *trouble) if trouble else Finding("ok", str(gpu)))
    return sorted(found, key=lambda finding: ("problem", "warning", "ok").index(finding.level))


def unusable(gpu: Gpu, driver_version: int) -> tuple[str, str] | None:
    """Why CTranslate2 cannot run on this GPU, and what to do; None if it can."""
    if gpu.capability < MIN_CAPABILITY:
        return f"{gpu} is too old: CTranslate2's wheel begins at 5.3", "Set GATEWAY_DEVICE=cpu"
    if gpu.capability >= JIT_CAPABILITY and driver_version < JIT_DRIVER:
        return (
            f"{gpu} needs a driver for CUDA 12.8, this one is for {_version(driver_version)}",
            "Update NVIDIA's driver to 570 or newer",
        )
    return None


def compute_types(gpu: Gpu) -> frozenset[str]:
    """CTranslate2's number formats that this GPU computes well (its `quantization.md`)."""
    known = {"auto", "default", "float32"}
    if gpu.capability > (6, 0) and gpu.capability != (6, 2):
        known |= {"int8", "int8_float32"}
    if gpu.capability >= (7, 0):
        known |= {"float16", "int8_float16"}
    if gpu.capability >= (8, 0):
        known |= {"bfloat16", "int8_bfloat16"}
    return frozenset(known)


def choose(
    device: Literal["auto", "cpu", "cuda"], indices: Sequence[int], compute_type: str
) -> tuple[Gpu, ...]:
    """The GPUs to run on, none for the CPU. ``auto`` warns where there is a GPU that cannot be used.

    Args:
        indices: Among the visible ones.

    Raises:
        DeviceUnavailableError: CUDA was asked for, and cannot be had; says why and what to do.
    """
    if device == "cpu" or (device == "auto" and not seems_present()):
        return ()
    try:
        return usable(ask(), indices, compute_type)
    except DeviceUnavailableError as error:
        if device == "cuda":
            raise
        _logger.warning("NOT USING THE GPU, but the CPU: %s", error)
        return ()


def advice(error: str) -> str | None:
    """What to do about an error of CTranslate2's, if that is known."""
    return next((remedy for words, remedy in _ADVICE if words in error.lower()), None)


@contextmanager
def explained() -> Iterator[None]:
    """Adds what to do to what CTranslate2 raises.

    Raises:
        RuntimeError: In place of an error about which something can be done.
    """
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if remedy := advice(str(error)):
            raise RuntimeError(f"{str(error).rstrip('.')}. {remedy}") from error
        raise


def usable(probe: Probe, indices: Sequence[int], compute_type: str) -> tuple[Gpu, ...]:
    """The named ones of the visible GPUs.

    Raises:
        DeviceUnavailableError: One of them cannot be used, or not with this number format.
    """
    for finding in findings(probe):
        if finding.level == "problem":
            raise DeviceUnavailableError(str(finding))
    chosen = []
    for index in indices:
        if index >= len(probe.gpus):
            raise DeviceUnavailableError(
                f"cuda:{index} was asked for, but the visible GPUs are {', '.join(map(str, probe.gpus))}"
            )
        gpu = probe.gpus[index]
        if trouble := unusable(gpu, probe.driver_version):
            raise DeviceUnavailableError(str(Finding("problem", *trouble)))
        if compute_type not in (known := compute_types(gpu)):
            raise DeviceUnavailableError(
                f"GATEWAY_COMPUTE_TYPE {compute_type} is not for {gpu}. It can be: {', '.join(sorted(known))}"
            )
        chosen.append(gpu)
    return tuple(chosen)


def _driver_findings(probe: Probe, environment: Mapping[str, str]) -> Iterator[Finding]:
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if probe.no_driver:
        remedy = _GET_DRIVER
        if Path("/proc/driver/nvidia/version").exists():
            remedy = "The machine has a driver, this container was not given it: start it with --gpus all"
        yield Finding("problem", f"No NVIDIA driver: {probe.no_driver}", remedy)
    elif probe.driver_version < MIN_DRIVER:
        yield Finding(
            "problem",
            f"NVIDIA's driver is too old: it is for CUDA {_version(probe.driver_version)}, 12.0 is needed",
            "Update it to 525 or newer",
        )
    elif not probe.gpus:
        why = f" (CUDA_VISIBLE_DEVICES is '{visible}')" if visible is not None else ""
        said = f"; the driver says {probe.error}" if probe.error else ""
        remedy = "Unset CUDA_VISIBLE_DEVICES or correct it" if why else "See what nvidia-smi -L says"
        yield Finding("problem", f"No GPU is visible{why}{said}", remedy)


def _library_findings(probe: Probe) -> Iterator[Finding]:
    if not probe.no_cublas:
        yield Finding("ok", "cuBLAS 12 can be loaded")
        return
    text = f"cuBLAS cannot be loaded: {probe.no_cublas}"
    if probe.other_cublas:
        text += f"; there is {', '.join(probe.other_cublas)}, but CTranslate2 needs version 12"
    yield Finding("problem", text, _INSTALL)


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
