"""The CUDA libraries that CTranslate2 loads by name, found in NVIDIA's wheels: nobody sets LD_LIBRARY_PATH.

CTranslate2's wheel holds the CUDA runtime, and opens ``libcublas.so.12`` when a GPU first multiplies. Since
4.7.1 it uses no cuDNN: its library does not even hold the name.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

NEEDED = "libcublas.so.12"

_COMPANIONS = ("libnvrtc.so.12", "libcublasLt.so.12")
"""What cuBLAS itself opens by name or is linked to, in the order in which they must be there."""

_SYSTEM_FOLDERS = ("/usr/local/cuda*/lib64", "/usr/local/cuda*/lib", "/usr/lib/*-linux-gnu", "/usr/lib64")


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
