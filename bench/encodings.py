"""One recording in thirty encodings, as people's recorders, telephones and programs write them."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream

from gateway.audio.types import SAMPLE_RATE, Samples


@dataclass(frozen=True, slots=True)
class Encoding:
    """A container and what is in it.

    Attributes:
        bit_rate: In bits per second; 0 leaves it to the encoder.
        options: For the encoder.
        sample_format: Where the encoder's first one, of 8 bits, is none that people record with.
    """

    container: str
    codec: str
    rate: int = 16_000
    channels: int = 1
    bit_rate: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    sample_format: str = ""

    def __str__(self) -> str:
        rate = f", {self.bit_rate // 1000} kb/s" if self.bit_rate else ""
        return f"{self.container} {self.codec}, {self.rate / 1000:g} kHz × {self.channels}{rate}"  # noqa: RUF001


_EXPERIMENTAL = {"strict": "-2"}

ENCODINGS = (
    Encoding("wav", "pcm_s16le"),
    Encoding("wav", "pcm_s16le", 8_000),
    Encoding("wav", "pcm_s16le", 44_100, 2),
    Encoding("wav", "pcm_s24le", 48_000, 2),
    Encoding("wav", "pcm_f32le", 96_000, 2),
    Encoding("wav", "pcm_u8", 11_025),
    Encoding("wav", "pcm_mulaw", 8_000),
    Encoding("wav", "adpcm_ima_wav", 22_050),
    Encoding("aiff", "pcm_s16be", 44_100, 2),
    Encoding("au", "pcm_alaw", 8_000),
    Encoding("caf", "pcm_s16le", 32_000),
    Encoding("flac", "flac", 48_000, 2),
    Encoding("flac", "flac", 16_000),
    Encoding("ipod", "alac", 44_100, 2),
    Encoding("wv", "wavpack", 44_100, 2, sample_format="s16p"),
    Encoding("tta", "tta", 44_100, 2, sample_format="s16"),
    Encoding("mp3", "libmp3lame", 44_100, 2, 128_000),
    Encoding("mp3", "libmp3lame", 22_050, 1, 32_000),
    Encoding("mp3", "libmp3lame", 8_000, 1, 16_000),
    Encoding("mp2", "mp2", 48_000, 2, 192_000),
    Encoding("adts", "aac", 44_100, 2, 96_000),
    Encoding("ipod", "aac", 48_000, 1, 48_000),
    Encoding("mp4", "aac", 22_050, 1, 32_000),
    Encoding("ogg", "libopus", 48_000, 1, 16_000),
    Encoding("webm", "libopus", 48_000, 2, 64_000),
    Encoding("matroska", "vorbis", 44_100, 2, 96_000, _EXPERIMENTAL),
    Encoding("ac3", "ac3", 48_000, 2, 128_000),
    Encoding("mpegts", "aac", 48_000, 2, 128_000),
    Encoding("asf", "wmav2", 44_100, 2, 64_000),
    Encoding("amr", "libopencore_amrnb", 8_000, 1, 12_200),
)


def encoded(samples: Samples, encoding: Encoding) -> bytes:
    """The recording as a file.

    Args:
        samples: 16 kHz mono; of several channels each has them all.
    """
    layout = "mono" if encoding.channels == 1 else "stereo"
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=encoding.container) as container:
        stream = container.add_stream(encoding.codec, rate=encoding.rate, options=dict(encoding.options))
        if not isinstance(stream, AudioStream):
            raise TypeError(f"{encoding.codec} is no audio codec")
        stream.codec_context.layout = layout
        if encoding.sample_format:
            stream.codec_context.format = encoding.sample_format
        if encoding.bit_rate:
            stream.bit_rate = encoding.bit_rate
        stream.codec_context.open()
        # Not left to the resampler, which takes 3 dB off where it makes two channels of one.
        channels = np.tile((np.clip(samples, -1, 1) * 32767).astype(np.int16), (encoding.channels, 1))
        frame = AudioFrame.from_ndarray(channels, format="s16p", layout=layout)
        frame.rate = SAMPLE_RATE
        context = stream.codec_context
        resampler = AudioResampler(
            context.format, layout, encoding.rate, frame_size=context.frame_size or 1024
        )
        for each in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(each))
        container.mux(stream.encode(None))
    return buffer.getvalue()
