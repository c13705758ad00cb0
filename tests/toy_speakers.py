"""Networks with the shapes of the real ones: all sound is speech, a voice is the spread of its bands."""

from pathlib import Path

import numpy as np

from gateway.models.speakers.graph import Graph
from gateway.models.speakers.weights import CAMPPLUS, SEGMENTATION


def write_toy_speakers(folder: Path) -> Path:
    """Writes both files into ``folder``, and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_segmentation(folder / SEGMENTATION)
    _write_campplus(folder / CAMPPLUS)
    return folder


def _write_segmentation(path: Path) -> None:
    """A frame is the first person's where it is not silent, and of two where it is very loud."""
    graph = Graph({})
    level = graph.node("AveragePool", graph.node("Abs", "wave"), kernel_shape=[991], strides=[270])
    level = graph.node("Transpose", level, perm=[0, 2, 1])
    gain = np.array([[-1e4, 1e4, 0, 0, 3e4, 0, 0]])
    offset = np.array([20, 0, -99, -99, -1e4, -99, -99])
    scores = graph.node("Add", graph.node("MatMul", level, graph.constant(gain)), graph.constant(offset))
    graph.node("LogSoftmax", scores, axis=-1, name="logp")
    graph.save(path, {"wave": ["batch", 1, "samples"]}, {"logp": ["batch", "frames", 7]})


def _write_campplus(path: Path) -> None:
    graph = Graph({})
    squares = graph.node("Mul", "feats", "feats")
    spread = graph.node("Sqrt", graph.node("ReduceMean", squares, axes=[1], keepdims=0))
    # Around their mean, or all voices would point in one direction.
    centred = graph.node("Sub", spread, graph.node("ReduceMean", spread, axes=[1], keepdims=1))
    graph.node("Add", centred, graph.constant([1e-6]), name="embedding")
    graph.save(path, {"feats": ["batch", "frames", 80]}, {"embedding": ["batch", 80]})
