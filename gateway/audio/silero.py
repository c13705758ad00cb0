"""Silero VAD v6 through ONNX Runtime: the probability of speech for each frame of 32 ms. No torch."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from gateway.audio.types import Samples

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

FRAME = 512
"""Samples of one frame: 32 ms, what the model was trained on at 16 kHz."""

_CONTEXT = 64
_FILE = "silero_vad_16k_sequence.onnx"


def find_model() -> Path:
    """The model's file: of the package silero-vad where that is installed, else ours, of its release 6.2.3.

    The package is found without importing it, for it imports torch, which its wheel wants.
    """
    spec = find_spec("silero_vad")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "data" / _FILE
        if path.is_file():
            return path
    return Path(__file__).with_name(_FILE)


@dataclass(frozen=True, slots=True)
class SileroModel:
    """The loaded model. Keeps nothing of a stream, so all streams and threads share one.

    Attributes:
        source: Package and file it came from, for `/health` and `gateway doctor`.
    """

    source: str
    session: "InferenceSession"

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Loads the model file, by default the one `find_model` finds."""
        import onnxruntime  # noqa: PLC0415  80 MB that only a process with audio needs

        path = path or find_model()
        options = onnxruntime.SessionOptions()
        # One small recurrent model: more threads only cost, and the arena never shrinks.
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(path, sess_options=options, providers=["CPUExecutionProvider"])
        return cls(source="/".join(path.parts[-3:]), session=session)

    def stream(self) -> "SileroStream":
        """The state of a new stream, from its first sample on."""
        return SileroStream(self)


class SileroStream:
    """Detects speech in one stream: its recurrent state, carried across blocks of any size."""

    def __init__(self, model: SileroModel) -> None:
        self._session = model.session
        self._pending: Samples = np.zeros(0, dtype=np.float32)
        self._context: Samples = np.zeros(_CONTEXT, dtype=np.float32)
        self._h = np.zeros((1, 1, 128), dtype=np.float32)
        self._c = np.zeros((1, 1, 128), dtype=np.float32)

    def feed(self, samples: Samples) -> NDArray[np.float32]:
        """Takes shape (n,); gives one probability for each frame that is complete."""
        joined = np.concatenate((self._pending, samples))
        whole = len(joined) // FRAME * FRAME
        self._pending = joined[whole:].copy()
        if not whole:
            return np.zeros(0, dtype=np.float32)
        return self._run(joined[:whole].reshape(-1, FRAME))

    def flush(self) -> NDArray[np.float32]:
        """Gives the last, incomplete frame's probability, as if silence followed."""
        return self.feed(np.zeros(-len(self._pending) % FRAME, dtype=np.float32))

    def _run(self, frames: Samples) -> NDArray[np.float32]:
        tails = np.vstack((self._context[None], frames[:-1, -_CONTEXT:]))
        self._context = frames[-1, -_CONTEXT:].copy()
        probabilities, self._h, self._c = self._session.run(
            ["speech_probs", "hn", "cn"],
            {"input": np.hstack((tails, frames)), "h": self._h, "c": self._c},
        )
        return np.asarray(probabilities, dtype=np.float32).reshape(-1)
