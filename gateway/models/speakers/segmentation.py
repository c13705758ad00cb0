"""Pyannote's segmentation 3.0 as ONNX: samples in, who of up to three people speaks in each frame out.

The layers are those of `pyannote/audio/models/segmentation/PyanNet.py` (MIT): band-pass filters whose edges
were learned (SincNet), recurrent layers, and a classifier of the sets of people who may speak at once.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.models.speakers.graph import EPSILON, Graph

CLASSES = 7
"""Nobody; the first, second, third; the first two, the first and third, the last two together."""

_LEAK = 0.01
_LOWEST_HZ = 50
_HIGHEST_HZ = 8_000
_HIDDEN = 128


def write_segmentation(weights: dict[str, Any], path: Path) -> None:
    """Writes the network: ``wave`` (batch, 1, samples at 16 kHz) to ``logp`` (batch, frames, 7)."""
    graph = Graph(weights)
    value = _instance_norm(graph, "wave", "sincnet.wav_norm1d")
    filters = graph.constant(_sinc_filters(weights))
    value = graph.node("Abs", graph.node("Conv", value, filters, strides=[10]))
    for number in range(3):
        if number:
            value = graph.conv(value, f"sincnet.conv1d.{number}")
        value = graph.node("MaxPool", value, kernel_shape=[3], strides=[3])
        value = _leaky(graph, _instance_norm(graph, value, f"sincnet.norm1d.{number}"))
    value = graph.node("Transpose", value, perm=[2, 0, 1])
    layer = 0
    while graph.has(f"lstm.weight_ih_l{layer}"):
        value = _lstm(graph, value, layer)
        layer += 1
    for number in range(2):
        value = _leaky(graph, _linear(graph, value, f"linear.{number}"))
    value = graph.node("LogSoftmax", _linear(graph, value, "classifier"), axis=-1)
    graph.node("Transpose", value, perm=[1, 0, 2], name="logp")
    graph.save(path, {"wave": ["batch", 1, "samples"]}, {"logp": ["batch", "frames", CLASSES]})


def _sinc_filters(weights: dict[str, Any]) -> NDArray[np.float64]:
    """Half of the filters even, half odd, all symmetric: (filters, 1, taps)."""
    name = "sincnet.conv1d.0.filterbank"
    low_edge, band_edge, times, window = (
        np.asarray(weights[f"{name}.{part}"], dtype=np.float64)
        for part in ("low_hz_", "band_hz_", "n_", "window_")
    )
    low = _LOWEST_HZ + np.abs(low_edge)
    high = np.clip(low + _LOWEST_HZ + np.abs(band_edge), _LOWEST_HZ, _HIGHEST_HZ)
    band = high - low
    even = (np.sin(high @ times) - np.sin(low @ times)) / (times / 2) * window
    odd = (np.cos(low @ times) - np.cos(high @ times)) / (times / 2) * window
    halves = (
        np.concatenate([even, 2 * band, even[:, ::-1]], axis=1),
        np.concatenate([odd, np.zeros_like(band), -odd[:, ::-1]], axis=1),
    )
    filters: NDArray[np.float64] = np.concatenate([half / (2 * band) for half in halves])[:, None]
    return filters


def _instance_norm(graph: Graph, value: str, layer: str) -> str:
    constants = [graph.constant(graph.tensor(f"{layer}.{part}")) for part in ("weight", "bias")]
    return graph.node("InstanceNormalization", value, *constants, epsilon=EPSILON)


def _leaky(graph: Graph, value: str) -> str:
    return graph.node("LeakyRelu", value, alpha=_LEAK)


def _linear(graph: Graph, value: str, layer: str) -> str:
    product = graph.node("MatMul", value, graph.constant(graph.tensor(f"{layer}.weight").T))
    return graph.node("Add", product, graph.constant(graph.tensor(f"{layer}.bias")))


def _lstm(graph: Graph, value: str, layer: int) -> str:
    """One layer in both directions, (frames, batch, 2 * hidden)."""
    ways = (f"l{layer}", f"l{layer}_reverse")
    forward, recurrent = (
        np.stack([_gates(graph.tensor(f"lstm.weight_{kind}_{way}")) for way in ways]) for kind in ("ih", "hh")
    )
    biases = [
        np.concatenate([_gates(graph.tensor(f"lstm.bias_{kind}_{way}")) for kind in ("ih", "hh")])
        for way in ways
    ]
    both = graph.node(
        "LSTM",
        value,
        *(graph.constant(each) for each in (forward, recurrent, np.stack(biases))),
        hidden_size=_HIDDEN,
        direction="bidirectional",
    )
    joined = graph.node("Transpose", both, perm=[0, 2, 1, 3])
    return graph.node("Reshape", joined, graph.integers(0, 0, -1))


def _gates(weights: Any) -> NDArray[np.float32]:
    """Torch keeps the gates as input, forget, cell, output; ONNX as input, output, forget, cell."""
    enter, forget, cell, leave = np.split(np.asarray(weights), 4)
    return np.concatenate([enter, leave, forget, cell])
