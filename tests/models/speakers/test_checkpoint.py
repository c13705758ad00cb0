"""Checkpoints without torch: what torch writes is read, and nothing that would run code."""

import io
import os
import pickle
import sys
import zipfile
from collections import OrderedDict
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from gateway.models.speakers.checkpoint import read_checkpoint


class _Storage:
    """Numbers in a file of their own, which the pickle names."""

    def __init__(self, kind: str, key: str, count: int) -> None:
        self.kind, self.key, self.count = kind, key, count


class _Tensor:
    """A view of a storage, pickled as the call that makes it."""

    def __init__(
        self, storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...] = ()
    ) -> None:
        self.arguments = (storage, offset, size, stride)

    def __reduce__(self) -> tuple[Any, ...]:
        hooks: dict[str, Any] = OrderedDict()
        return sys.modules["torch._utils"]._rebuild_tensor_v2, (*self.arguments, False, hooks)


class _Pickler(pickle.Pickler):
    """Storages are named, as `torch.save` does it."""

    def persistent_id(self, obj: Any, /) -> Any:
        if isinstance(obj, _Storage):
            return "storage", getattr(sys.modules["torch"], obj.kind), obj.key, "cpu", obj.count
        return None


@pytest.fixture(autouse=True)
def _torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules of torch's names, with what a checkpoint names of them."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")

    def _rebuild_tensor_v2() -> None:
        """Only named."""

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    vars(utils)["_rebuild_tensor_v2"] = _rebuild_tensor_v2
    for kind in ("FloatStorage", "LongStorage"):
        vars(torch)[kind] = type(kind, (), {"__module__": "torch"})
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


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
    counter = _Tensor(_Storage("LongStorage", "b", 1), 0, ())
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
