"""Recordings for these tests: the miniature's samples, decoded, and encoded again in every format."""

import io
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from numpy.typing import NDArray

from gateway.audio.decode import decode
from gateway.audio.silero import FRAME
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.audio.vad import Offset, Onset, Vad

if TYPE_CHECKING:
    from av.video.stream import VideoStream


@dataclass(frozen=True)
class Encoding:
    """A container and its codec."""

    container: str
    codec: str
    rate: int = SAMPLE_RATE
    layout: str = "mono"
    options: dict[str, str] = field(default_factory=dict)
    index_last: bool = False
    likeness: float = 0.95
    """Correlation that is left of speech after encoding."""


_FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "500000"}

ENCODINGS = {
    "wav": Encoding("wav", "pcm_s16le"),
    "wav_8k_mulaw": Encoding("wav", "pcm_mulaw", 8_000),
    "wav_float_stereo": Encoding("wav", "pcm_f32le", 44_100, "stereo"),
    "flac": Encoding("flac", "flac"),
    "flac_96k_surround": Encoding("flac", "flac", 96_000, "5.1"),
    "mp3": Encoding("mp3", "libmp3lame", 44_100, "stereo"),
    "mpga": Encoding("mp2", "mp2"),
    "mpeg": Encoding("mpeg", "mp2"),
    "mpegts": Encoding("mpegts", "aac"),
    "m4a": Encoding("ipod", "aac", 44_100, index_last=True),
    "m4a_alac": Encoding("ipod", "alac", index_last=True),
    "mp4": Encoding("mp4", "aac", 48_000, "stereo", {"movflags": "faststart"}),
    "mp4_fragmented": Encoding("mp4", "aac", options=_FRAGMENTS),
    "ogg": Encoding("ogg", "libopus", 48_000),
    "oga": Encoding("oga", "flac"),
    "opus": Encoding("opus", "libopus", 48_000, "stereo"),
    "vorbis": Encoding("ogg", "vorbis", 44_100, "stereo"),
    "webm": Encoding("webm", "libopus", 48_000),
    "mkv": Encoding("matroska", "pcm_s16le"),
    "aac": Encoding("adts", "aac"),
    "amr": Encoding("amr", "libopencore_amrnb", 8_000, likeness=0.7),
    "aiff": Encoding("aiff", "pcm_s16be"),
    "caf": Encoding("caf", "pcm_s16le"),
    "flv": Encoding("flv", "aac"),
}


MORE_ENCODINGS = {
    "3gp": Encoding("3gp", "libopencore_amrnb", 8_000, index_last=True, likeness=0.7),
    "3gp_aac": Encoding("3gp", "aac", index_last=True),
    "ac3": Encoding("ac3", "ac3", 48_000),
    "aifc": Encoding("aiff", "pcm_alaw"),
    "au": Encoding("au", "pcm_mulaw", 8_000),
    "avi": Encoding("avi", "libmp3lame", 44_100),
    "avi_pcm": Encoding("avi", "pcm_s16le", 44_100, "stereo"),
    "eac3": Encoding("eac3", "eac3", 48_000),
    "flv_mp3": Encoding("flv", "libmp3lame", 44_100),
    "ircam": Encoding("ircam", "pcm_s16le"),
    "latm": Encoding("latm", "aac"),
    "mka": Encoding("matroska", "libopus", 48_000),
    "mov": Encoding("mov", "pcm_s16le", index_last=True),
    "mp4_opus": Encoding("mp4", "libopus", 48_000, index_last=True),
    "mpegts_opus": Encoding("mpegts", "libopus", 48_000),
    "mxf": Encoding("mxf_opatom", "pcm_s16le", 48_000),
    "nut": Encoding("nut", "aac"),
    "ra": Encoding("rm", "real_144", 8_000, likeness=0.7),
    "rf64": Encoding("wav", "pcm_s16le", options={"rf64": "always"}),
    "rm": Encoding("rm", "ac3", 44_100),
    "sox": Encoding("sox", "pcm_s32le"),
    "tta": Encoding("tta", "tta"),
    "voc": Encoding("voc", "pcm_s16le"),
    "vob": Encoding("vob", "ac3", 48_000),
    "w64": Encoding("w64", "pcm_s16le"),
    "wav_adpcm": Encoding("wav", "adpcm_ms"),
    "wav_g722": Encoding("wav", "g722"),
    "wav_mp3": Encoding("wav", "libmp3lame"),
    "wtv": Encoding("wtv", "mp2", index_last=True),
    "wma": Encoding("asf", "wmav2", 44_100),
    "wv": Encoding("wv", "wavpack"),
}
"""What is rarer: decoded, but not transcribed in every test."""


def encode(samples: Samples, encoding: Encoding, *, video: str | None = None) -> bytes:
    """The samples as a file, with a grey picture track of the codec ``video``."""
    # A fast-start mp4 is written twice, the second time by name.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        with av.open(str(path), "w", format=encoding.container, options=encoding.options) as container:
            tracks = list(packets(samples, add_audio(container, encoding)))
            if video is not None:
                tracks += pictures(container, video, len(samples) / SAMPLE_RATE)
            container.mux(sorted(tracks, key=_time))
        return path.read_bytes()


def _time(packet: "av.Packet[Any]") -> Fraction:
    return Fraction(packet.dts or 0) * (packet.time_base or 0)


def add_audio(container: OutputContainer, encoding: Encoding) -> AudioStream:
    """A new audio track, its encoder opened."""
    # FFmpeg's own Vorbis encoder is marked experimental.
    options = {"strict": "experimental"}
    stream = container.add_stream(encoding.codec, rate=encoding.rate, layout=encoding.layout, options=options)
    audio = cast("AudioStream", stream)
    if encoding.codec == "wmav2":  # which has no bit rate of its own
        audio.bit_rate = 64_000
    audio.codec_context.open()
    return audio


def packets(samples: Samples, stream: AudioStream) -> Iterator["av.Packet[Any]"]:
    """The samples, encoded."""
    frame = AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    context = stream.codec_context
    resampler = AudioResampler(
        context.format, context.layout, context.sample_rate, context.frame_size or 1024
    )
    frames = [*resampler.resample(frame), *resampler.resample(None), None]
    for ready in frames:
        # FLAC ends with an empty packet of side data, which Ogg and Matroska refuse.
        yield from (packet for packet in stream.encode(ready) if packet.size)


def pictures(container: OutputContainer, codec: str, seconds: float) -> Iterator["av.Packet[Any]"]:
    """A picture track as long as the audio."""
    stream = cast("VideoStream", container.add_stream(codec, rate=25))
    stream.width = stream.height = 64
    stream.pix_fmt = "yuv420p"
    for i in range(int(seconds * 25)):
        picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), i, dtype=np.uint8), format="rgb24")
        picture.pts = i
        picture.time_base = Fraction(1, 25)
        yield from stream.encode(picture)
    yield from stream.encode(None)


def wav(samples: np.ndarray, rate: int = SAMPLE_RATE, *, tags: bytes = b"") -> bytes:
    """A WAV file of shape (n,) or (n, channels), int16 or float32, with any rate in its header."""
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    size = samples.dtype.itemsize
    kind = 3 if samples.dtype.kind == "f" else 1
    data = samples.tobytes()
    numbers = [
        (kind, 2),
        (channels, 2),
        (rate, 4),
        (rate * channels * size, 4),
        (channels * size, 2),
        (8 * size, 2),
    ]
    fmt = b"".join((n % 256**width).to_bytes(width, "little") for n, width in numbers)
    chunks = b"".join(
        name + len(body).to_bytes(4, "little") + body
        for name, body in ((b"fmt ", fmt), (b"LIST", tags), (b"data", data))
        if body or name == b"data"
    )
    return b"RIFF" + (4 + len(chunks)).to_bytes(4, "little") + b"WAVE" + chunks


def int16(samples: Samples) -> np.ndarray:
    """As 16-bit integers."""
    return np.round(samples * 32_767).astype("<i2")


class Growing(io.BytesIO):
    """A file that is still arriving: it cannot seek, and it counts what was taken."""

    def seekable(self) -> bool:
        """Not yet."""
        return False


def load(path: Path) -> Samples:
    """A recording, decoded."""
    with path.open("rb") as file:
        return decode_all(file.read())


def decode_all(file: bytes, max_seconds: float = 1_000.0) -> Samples:
    """All blocks of a file, joined."""
    return np.concatenate(list(decode(io.BytesIO(file), max_seconds=max_seconds)))


def cuts(samples: Samples, size: int) -> list[Samples]:
    """The samples in pieces of ``size``."""
    return [samples[i : i + size] for i in range(0, len(samples), size)]


def at_level(samples: Samples, dbfs: float) -> Samples:
    """The samples with this root mean square."""
    rms = float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))
    return samples * np.float32(10 ** (dbfs / 20) / rms)


class ScriptedFrontEnd:
    """A `Detector` that says what the script says, however it is fed; silence after it.

    Args:
        probabilities: One for each frame.
        hop: Samples are heard in whole hops of so many, as by the gain before Silero.
        late: Frames that are heard so much later.
    """

    def __init__(self, probabilities: Iterable[float], *, hop: int = 1, late: int = 0) -> None:
        self._script = np.array(list(probabilities), dtype=np.float32)
        self._hop = hop
        self._late = late
        self._samples = 0
        self._told = 0

    def feed(self, samples: Samples) -> NDArray[np.float32]:
        """One for each frame that is complete."""
        self._samples += len(samples)
        return self._tell(self._samples // self._hop * self._hop // FRAME - self._late)

    def flush(self) -> NDArray[np.float32]:
        """Those of what was fed, the last frame padded."""
        return self._tell(-(-self._samples // FRAME))

    def _tell(self, frames: int) -> NDArray[np.float32]:
        told, self._told = self._told, max(self._told, frames)
        known = self._script[told : self._told]
        return np.pad(known, (0, self._told - told - len(known)))


def edges(vad: Vad, probabilities: Iterable[float]) -> list[Onset | Offset]:
    """What a detector says of these frames, and at the end of the stream."""
    events = [vad.step(float(p)) for p in probabilities] + [vad.stop()]
    return [event for event in events if event is not None]
