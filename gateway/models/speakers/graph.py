"""An ONNX graph while it is written: a node for each call, weights as constants."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from onnx import NodeProto, TensorProto, checker, helper, numpy_helper, save

OPSET = 17
"""Old enough for every ONNX Runtime in use; its files are of version 8."""

EPSILON = 1e-5
"""Of all normalising layers: torch's default."""


class Graph:
    """Nodes and weights in the order in which they are computed. Values are named by strings."""

    def __init__(self, weights: "dict[str, Any]") -> None:
        self._weights = weights
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []

    def has(self, name: str) -> bool:
        """Whether the checkpoint has such a tensor."""
        return name in self._weights

    def tensor(self, name: str) -> Any:
        """A tensor of the checkpoint."""
        return self._weights[name]

    def constant(self, values: ArrayLike, dtype: type[np.generic] = np.float32) -> str:
        """A value that is part of the model."""
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype=dtype), name))
        return name

    def integers(self, *values: int) -> str:
        """Axes, shapes and positions."""
        return self.constant(values, np.int64)

    def node(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """One operator with one result, which may be given its ``name``."""
        name = name or f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def conv(self, value: str, layer: str, **attributes: Any) -> str:
        """A convolution of the checkpoint, in one dimension or two."""
        names = [f"{layer}.weight", *([f"{layer}.bias"] if self.has(f"{layer}.bias") else [])]
        return self.node("Conv", value, *(self.constant(self.tensor(name)) for name in names), **attributes)

    def batch_norm(self, value: str, layer: str) -> str:
        """A batch normalisation with the statistics of the training; some have no scale and offset."""
        mean = self.tensor(f"{layer}.running_mean")
        variance = self.tensor(f"{layer}.running_var")
        affine = self.has(f"{layer}.weight")
        scale = self.tensor(f"{layer}.weight") if affine else np.ones_like(mean)
        offset = self.tensor(f"{layer}.bias") if affine else np.zeros_like(mean)
        constants = [self.constant(each) for each in (scale, offset, mean, variance)]
        return self.node("BatchNormalization", value, *constants, epsilon=EPSILON)

    def save(
        self, path: Path, inputs: dict[str, list[int | str]], outputs: dict[str, list[int | str]]
    ) -> None:
        """Checks the whole and writes it; letters in shapes stand for any length."""
        ends = [
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in each.items()]
            for each in (inputs, outputs)
        ]
        graph = helper.make_graph(self._nodes, path.stem, *ends, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        checker.check_model(model)
        save(model, path)
