"""A PyTorch checkpoint read without torch: a pickle in a zip archive, and a file for each storage.

The pickle may name what tensors are made of and nothing else, so reading one runs no code of its author.
Format: `torch.save` since 1.6, `torch/serialization.py`.
"""

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Tensor: TypeAlias = NDArray[np.generic]

_DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


def read_checkpoint(data: bytes) -> dict[str, Any]:
    """What was saved: a dict of tensors by name, or a dict that holds such dicts.

    Raises:
        pickle.UnpicklingError: It names something that is no part of a plain tensor.
        zipfile.BadZipFile: It is no such file.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        name = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
        if name is None:
            raise zipfile.BadZipFile("no checkpoint: it holds no data.pkl")
        loaded = _Unpickler(archive, name.removesuffix("data.pkl")).load()
    if not isinstance(loaded, dict):
        raise pickle.UnpicklingError(f"a {type(loaded).__name__}, where a dict of tensors was expected")
    return loaded


class _Unpickler(pickle.Unpickler):
    """Finds ordered dicts, the two kinds of storage in use, and the function that makes a tensor of one."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{root}data.pkl")))
        self._archive = archive
        self._root = root

    def find_class(self, module: str, name: str, /) -> Any:
        """As pickle asks for each name."""
        match module, name:
            case "collections", "OrderedDict":
                return OrderedDict
            case "torch._utils", "_rebuild_tensor_v2":
                return _rebuild_tensor
            case "torch", _ if name in _DTYPES:
                return name
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a checkpoint")

    def persistent_load(self, pid: Any, /) -> Tensor:
        """A storage: one file of the archive."""
        _, kind, key, _, count = pid
        return np.frombuffer(self._archive.read(f"{self._root}data/{key}"), dtype=_DTYPES[kind], count=count)


def _rebuild_tensor(
    storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> Tensor:
    rows = [math.prod(size[axis + 1 :]) for axis in range(len(size))]
    if any(step != row for step, row, length in zip(stride, rows, size, strict=True) if length > 1):
        raise pickle.UnpicklingError("a tensor whose numbers do not lie one after the other")
    return storage[offset : offset + math.prod(size)].reshape(size)
