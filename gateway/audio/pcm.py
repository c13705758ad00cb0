"""Samples of any kind to 16 kHz mono: bare ones in pieces of any size, and the frames of containers."""

from typing import Final, Literal, TypeAlias, cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
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

_FRAME_RATES = range(1_000, 768_001)
"""Samples per second of a container. One outside is a broken header's; at 1 Hz a few kilobytes last hours."""

_MAX_AMPLITUDE = 32_768.0
"""Float files scaled like 16-bit integers exist (the loudness gain brings them down); beyond is garbage."""

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


class ToMono:
    """Frames of any kind to 16 kHz mono; the resampler is built anew whenever a frame's parameters change.

    Args:
        least: Samples to gather before any are given; 0 gives what is there.
    """

    def __init__(self, least: int = 0) -> None:
        self._least = least
        self._resampler: AudioResampler | None = None
        self._parameters: tuple[int, str, str] | None = None
        self._average = False

    def feed(self, frame: AudioFrame) -> list[Samples]:
        """Takes the next frame; gives what is ready of it and its predecessors."""
        if frame.sample_rate not in _FRAME_RATES or not frame.samples:
            return []
        out: list[Samples] = []
        parameters = (frame.sample_rate, frame.format.name, frame.layout.name)
        if parameters != self._parameters:
            out += self.flush()
            self._parameters = parameters
            self._average = False
        frame.pts = None  # positions are counted, so a jump in the stamps is not taken for a new stream
        try:
            if not self._average:
                return out + self._resample(frame)
        except av.FFmpegError:
            # FFmpeg mixes only layouts it has a name for, and never more than 63 channels.
            self._resampler = None
            self._average = True
        try:
            return out + self._resample(_average(frame))
        except av.FFmpegError:
            return out

    def flush(self) -> list[Samples]:
        """Gives what the resampler's filter still holds."""
        if self._resampler is None:
            return []
        out = self._resample(None)
        self._resampler = None
        return out

    def _resample(self, frame: AudioFrame | None) -> list[Samples]:
        if self._resampler is None:
            self._resampler = AudioResampler("flt", "mono", SAMPLE_RATE, frame_size=self._least)
        ready = cast("list[AudioFrame | None]", self._resampler.resample(frame))
        # One that passes frames through unchanged answers the flush with the None it was given.
        return [_sane(part) for part in ready if part is not None]


def _sane(frame: AudioFrame) -> Samples:
    """The frame's samples without NaN and infinity, which would stay in a recurrent model for good."""
    samples = frame.to_ndarray().reshape(-1).astype(np.float32)
    np.clip(samples, -_MAX_AMPLITUDE, _MAX_AMPLITUDE, out=samples)
    # One NaN makes the sum one; looking for each took a tenth of the server's time.
    return np.nan_to_num(samples, nan=0.0, copy=False) if np.isnan(samples.sum()) else samples


def _average(frame: AudioFrame) -> AudioFrame:
    """The mean of all channels, as a mono frame of the same rate.

    Raises:
        av.FFmpegError: More than 64 channels in planes.
    """
    if frame.format.is_planar:
        # Not through its planes: PyAV 18.1 looks for a null behind their pointers, but behind eight or more
        # FFmpeg puts none, so it reads on until it crashes.
        packed = AudioResampler(frame.format.packed, frame.layout, frame.sample_rate)
        [frame] = packed.resample(frame)
    channels = frame.to_ndarray().reshape(-1, frame.layout.nb_channels)
    with np.errstate(invalid="ignore", over="ignore"):  # garbage in float files; `_sane` removes it
        mean = channels.mean(axis=1, dtype=np.float64)
        np.clip(mean, -(2.0**63), 2.0**63, out=mean)
    if channels.dtype == np.uint8:
        mean = (mean - 128) / 128
    elif channels.dtype.kind == "i":
        mean /= 2.0 ** (8 * channels.dtype.itemsize - 1)
    mono = AudioFrame.from_ndarray(mean[None].astype(np.float32), format="flt", layout="mono")
    mono.sample_rate = frame.sample_rate
    return mono
