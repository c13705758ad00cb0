"""CAM++ as ONNX: filter banks of any length in, the embedding of a voice out.

The layers are those of 3D-Speaker's `speakerlab/models/campplus/DTDNN.py` (Apache-2.0). The last batch
normalisation is the end: some copies put a ReLU after it, which doubles the equal error rate.
"""

from pathlib import Path
from typing import Any

from onnx import TensorProto

from gateway.models.speakers.graph import Graph

FEATURES = 80
"""Mel bands."""

_POOLED = 100
"""Frames whose mean says what a mask is made of, after the first layers have halved their number."""

_BLOCKS = ((12, 1), (24, 2), (16, 2))
"""Layers, and their dilation."""


def write_campplus(weights: dict[str, Any], path: Path) -> None:
    """Writes the network: ``feats`` (batch, frames, 80) to ``embedding`` (batch, 192)."""
    graph = Graph(weights)
    value = graph.node("Transpose", "feats", perm=[0, 2, 1])
    value = _head(graph, graph.node("Unsqueeze", value, graph.integers(1)))
    value = graph.conv(value, "xvector.tdnn.linear", strides=[2], pads=[2, 2])
    value = _norm_relu(graph, value, "xvector.tdnn.nonlinear.batchnorm")
    for number, (layers, dilation) in enumerate(_BLOCKS, start=1):
        for layer in range(1, layers + 1):
            value = _dense(graph, value, f"xvector.block{number}.tdnnd{layer}", dilation)
        transit = f"xvector.transit{number}"
        value = graph.conv(_norm_relu(graph, value, f"{transit}.nonlinear.batchnorm"), f"{transit}.linear")
    value = _statistics(graph, _norm_relu(graph, value, "xvector.out_nonlinear.batchnorm"))
    value = graph.node("Squeeze", graph.conv(value, "xvector.dense.linear"), graph.integers(2))
    value = graph.batch_norm(value, "xvector.dense.nonlinear.batchnorm")
    graph.node("Identity", value, name="embedding")
    size = len(weights["xvector.dense.linear.weight"])
    graph.save(path, {"feats": ["batch", "frames", FEATURES]}, {"embedding": ["batch", size]})


def _norm_relu(graph: Graph, value: str, layer: str) -> str:
    return graph.node("Relu", graph.batch_norm(value, layer))


def _head(graph: Graph, value: str) -> str:
    """Residual convolutions over time and bands, which make an eighth of the bands."""
    value = _norm_relu(graph, graph.conv(value, "head.conv1", pads=[1] * 4), "head.bn1")
    for name, stride in (("layer1.0", 2), ("layer1.1", 1), ("layer2.0", 2), ("layer2.1", 1)):
        layer = f"head.{name}"
        inner = graph.conv(value, f"{layer}.conv1", strides=[stride, 1], pads=[1] * 4)
        inner = graph.conv(_norm_relu(graph, inner, f"{layer}.bn1"), f"{layer}.conv2", pads=[1] * 4)
        inner = graph.batch_norm(inner, f"{layer}.bn2")
        if graph.has(f"{layer}.shortcut.0.weight"):
            short = graph.conv(value, f"{layer}.shortcut.0", strides=[stride, 1])
            value = graph.batch_norm(short, f"{layer}.shortcut.1")
        value = graph.node("Relu", graph.node("Add", inner, value))
    value = _norm_relu(graph, graph.conv(value, "head.conv2", strides=[2, 1], pads=[1] * 4), "head.bn2")
    channels = len(graph.tensor("head.conv2.weight")) * FEATURES // 8
    return graph.node("Reshape", value, graph.integers(0, channels, -1))


def _dense(graph: Graph, value: str, layer: str, dilation: int) -> str:
    """A densely connected layer, masked by its context: the mean of all frames, and of a hundred."""
    inner = graph.conv(_norm_relu(graph, value, f"{layer}.nonlinear1.batchnorm"), f"{layer}.linear1")
    inner = _norm_relu(graph, inner, f"{layer}.nonlinear2.batchnorm")
    cam = f"{layer}.cam_layer"
    local = graph.conv(inner, f"{cam}.linear_local", dilations=[dilation], pads=[dilation] * 2)
    mean = graph.node("ReduceMean", inner, axes=[2], keepdims=1)
    context = graph.node("Add", mean, _means_of_frames(graph, inner))
    mask = graph.conv(graph.node("Relu", graph.conv(context, f"{cam}.linear1")), f"{cam}.linear2")
    masked = graph.node("Mul", local, graph.node("Sigmoid", mask))
    return graph.node("Concat", value, masked, axis=1)


def _means_of_frames(graph: Graph, value: str) -> str:
    """For each frame the mean of its hundred; the last ones may be fewer."""
    pooled = graph.node(
        "AveragePool",
        value,
        kernel_shape=[_POOLED],
        strides=[_POOLED],
        ceil_mode=1,
        count_include_pad=0,
    )
    column = graph.node("Unsqueeze", pooled, graph.integers(3))
    repeated = graph.node("Tile", column, graph.integers(1, 1, 1, _POOLED))
    flat = graph.node("Reshape", repeated, graph.integers(0, 0, -1))
    return graph.node("Slice", flat, graph.integers(0), _frames(graph, value), graph.integers(2))


def _statistics(graph: Graph, value: str) -> str:
    """Mean and standard deviation over time, as one column."""
    mean = graph.node("ReduceMean", value, axes=[2], keepdims=1)
    deviation = graph.node("Sub", value, mean)
    squares = graph.node("Mul", deviation, deviation)
    total = graph.node("ReduceSum", squares, graph.integers(2), keepdims=1)
    frames = graph.node("Cast", _frames(graph, value), to=TensorProto.FLOAT)
    variance = graph.node("Div", total, graph.node("Sub", frames, graph.constant([1.0])))
    return graph.node("Concat", mean, graph.node("Sqrt", variance), axis=1)


def _frames(graph: Graph, value: str) -> str:
    return graph.node("Slice", graph.node("Shape", value), graph.integers(2), graph.integers(3))
