"""Bare samples without a container, in pieces of any size, to 16 kHz."""

from typing import Final, Literal, TypeAlias, cast

import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.codec import CodecContext
from av.filter import Graph
from av.packet import Packet
from numpy.typing import NDArray

from gateway.audio.types import SAMPLE_RATE, Samples

Encoding: TypeAlias = Literal["pcm16", "ulaw", "alaw"]
"""Little-endian signed 16-bit; the two companding laws of G.711, one byte per sample."""

PCM16_BYTES = 2

RATES = range(8_000, 48_001)
"""Samples per second that bare audio may have."""

_FRAME = 4_096
"""The resampler keeps buffers as large as its largest frame, and an append may hold minutes."""

_CODECS: Final[dict[Encoding, str]] = {"ulaw": "pcm_mulaw", "alaw": "pcm_alaw"}


class PcmDecoder:
    """One stream of bare mono samples to 16 kHz; how it is cut into appends changes no bit of the output.

    Of a stream of n samples (4 ms or more) come n * 16 000 / rate, give or take less than one: the same audio
    as from a container. The output is at most 64 samples behind the input: 4 ms at 8 kHz, 2 ms at 24 kHz,
    then half. A decoder that was not fed yet, or just flushed, holds no resampler, only some hundred bytes.

    Args:
        rate: Samples per second of the input.

    Raises:
        ValueError: ``rate`` is not among `RATES`.
    """

    def __init__(self, encoding: Encoding, rate: int) -> None:
        if rate not in RATES:
            raise ValueError(f"rate must be between {RATES[0]} and {RATES[-1]}")
        self._rate = rate
        self._values = None if encoding == "pcm16" else _values(encoding)
        self._half = b""
        """The first byte of a sample whose other byte comes with the next append."""
        self._graph: Graph | None = None

    def feed(self, data: bytes) -> Samples:
        """Gives shape (n,), what is ready; half a sample at the end waits for the next append."""
        if self._values is not None:
            samples = self._values[np.frombuffer(data, np.uint8)]
        else:
            data = self._half + data
            whole = len(data) - len(data) % PCM16_BYTES
            self._half = data[whole:]
            samples = np.frombuffer(data[:whole], "<i2")
        if not len(samples):
            return _joined([])
        if self._graph is None:
            self._graph = _resampler(self._rate)
        ready: list[Samples] = []
        for at in range(0, len(samples), _FRAME):
            frame = AudioFrame.from_ndarray(samples[None, at : at + _FRAME], format="s16", layout="mono")
            frame.sample_rate = self._rate
            self._graph.push(frame)
            ready += _pull(self._graph)
        return _joined(ready)

    def flush(self) -> Samples:
        """Gives what the resampler holds. The stream may go on: half a sample waits for its other half."""
        graph, self._graph = self._graph, None
        if graph is None:
            return _joined([])
        graph.push(None)
        return _joined(_pull(graph))


def _values(encoding: Encoding) -> NDArray[np.int16]:
    """What FFmpeg decodes each of the 256 bytes to."""
    codec = cast("AudioCodecContext", CodecContext.create(_CODECS[encoding], "r"))
    codec.sample_rate = SAMPLE_RATE
    codec.layout = "mono"
    [frame] = codec.decode(Packet(bytes(range(256))))
    return frame.to_ndarray().reshape(-1).astype(np.int16, copy=False)


def _resampler(rate: int) -> Graph:
    """What PyAV's `AudioResampler` builds, but without its threads: that one starts one for each core."""
    graph = Graph()
    graph.threads = 1
    source = graph.add_abuffer(sample_rate=rate, format="s16", layout="mono")
    target = graph.add("aformat", f"sample_fmts=flt:channel_layouts=mono:sample_rates={SAMPLE_RATE}")
    graph.link_nodes(source, target, graph.add("abuffersink")).configure()
    return graph


def _pull(graph: Graph) -> list[Samples]:
    """All frames that the graph can give without more input."""
    ready: list[Samples] = []
    while True:
        try:
            frame = cast("AudioFrame", graph.pull())
        except (BlockingIOError, EOFError):
            return ready
        ready.append(frame.to_ndarray().reshape(-1).astype(np.float32, copy=False))


def _joined(ready: list[Samples]) -> Samples:
    return np.concatenate(ready) if ready else np.zeros(0, dtype=np.float32)
