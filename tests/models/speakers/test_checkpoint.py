"""Checkpoints without torch: what torch writes is read, and nothing that would run code."""

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from gateway.models.speakers.checkpoint import read_checkpoint


class _Storage:
    """Pickled as torch pickles a storage: by reference to a file beside the pickle."""

    def __init__(self, kind: str, key: str, count: int) -> None:
        self.pid = ("storage", _Named("torch", kind), key, "cpu", count)


class _Named:
    """Pickled as the name of something in a module."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class _Tensor:
    def __init__(
        self, storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
    ) -> None:
        self.arguments = (storage, offset, size, stride, False, OrderedDict())


class _Pickler(pickle._Pickler):  # type: ignore[misc, name-defined]  # the one in Python, whose names can be forged
    def persistent_id(self, obj: Any) -> Any:
        return obj.pid if isinstance(obj, _Storage) else None

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:  # noqa: FBT001, FBT002 - its signature
        if isinstance(obj, _Named):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, _Tensor):
            self.save(_Named("torch._utils", "_rebuild_tensor_v2"))
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


def _checkpoint(content: Any, **storages: bytes) -> bytes:
    pickled = io.BytesIO()
    _Pickler(pickled, protocol=2).dump(content)
    return _archive(pickled.getvalue(), **storages)


def _archive(pickled: bytes, **storages: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("net/data.pkl", pickled)
        for key, data in storages.items():
            archive.writestr(f"net/data/{key}", data)
    return file.getvalue()


def test_tensors_are_read() -> None:
    """Floats and whole numbers, a part of a storage, in a dict within a dict."""
    floats = np.arange(10, dtype="<f4")
    storage = _Storage("FloatStorage", "a", 10)
    counter = _Tensor(_Storage("LongStorage", "b", 1), 0, (), ())
    content = {"state_dict": OrderedDict(part=_Tensor(storage, 2, (2, 3), (3, 1)), count=counter)}

    read = read_checkpoint(_checkpoint(content, a=floats.tobytes(), b=np.array([7], "<i8").tobytes()))

    assert read["state_dict"]["part"].tolist() == [[2, 3, 4], [5, 6, 7]]
    assert read["state_dict"]["count"] == 7


@pytest.mark.parametrize(
    "harmful",
    [
        pickle.dumps(os.system, protocol=2),
        pickle.dumps(eval, protocol=2),
        b"ctorch\nload\n.",
        b"ctorch._utils\n_rebuild_parameter\n.",
        b"ccollections\nOrderedDict\nq\x00.",  # a type is no dict of tensors
    ],
)
def test_everything_else_is_refused(harmful: bytes) -> None:
    """A pickle may name no other function or type, and must be a dict."""
    with pytest.raises(pickle.UnpicklingError):
        read_checkpoint(_archive(harmful))


def test_strides_are_refused() -> None:
    """A tensor that is transposed is not read as if it were not; nor one beyond its storage."""
    storage = _Storage("FloatStorage", "a", 4)
    data = np.zeros(4, "<f4").tobytes()

    with pytest.raises(pickle.UnpicklingError):
        read_checkpoint(_checkpoint({"w": _Tensor(storage, 0, (2, 2), (1, 2))}, a=data))
    with pytest.raises(ValueError, match="reshape"):
        read_checkpoint(_checkpoint({"w": _Tensor(storage, 2, (2, 2), (2, 1))}, a=data))


def test_other_archives_are_refused() -> None:
    """A zip without a pickle, and what is no zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme", "")

    with pytest.raises(zipfile.BadZipFile):
        read_checkpoint(file.getvalue())
    with pytest.raises(zipfile.BadZipFile):
        read_checkpoint(b"weights")
