"""Any container in, blocks of 16 kHz mono float32 out: FFmpeg through PyAV, in bounded memory.

What a stranger uploads may be hostile, so nothing in it is believed: not the name, not the duration, not the
rate; and it may never make FFmpeg open a second file or address.
"""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from gateway.audio.source import ByteSource, GuardedSource
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.errors import AudioTooLongError, InvalidAudioError

FIRST_BLOCKS = 5
"""So many blocks of one second come first, that a first chunk can be cut early; later ones hold five."""

FIRST_BLOCK = SAMPLE_RATE
BLOCK = 5 * SAMPLE_RATE

MIN_SAMPLES = SAMPLE_RATE // 10
"""OpenAI refuses what is shorter than 0.1 s."""

DEMUXERS = (
    "aac,ac3,aiff,amr,asf,au,avi,caf,eac3,flac,flv,loas,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpeg,mpegts,"
    "ogg,tta,w64,wav,wv"
)
"""Containers only: playlists (hls, concat, dash, sdp …) would open what their text names."""

_SMALL_PROBE = {"probesize": "65536", "analyzeduration": "1000000"}
"""Enough wherever the header comes first, and little enough to begin on the first bytes of an upload."""

_LARGE_PROBE = {"probesize": "5000000", "analyzeduration": "5000000"}
"""FFmpeg's own defaults: MPEG program streams and the like show their audio only after some video."""

_PASSES = ((False, 0), *((True, stream) for stream in range(8)))
"""Whether to seek, and which audio stream to decode."""

_MAX_DEMUX_ERRORS = 16
"""In a row."""

_RATES = range(1_000, 768_001)
"""A rate outside is a broken header; at 1 Hz a few kilobytes would swell to hours."""

_FRAME = SAMPLE_RATE // 10
"""Samples that leave the resampler at a time: containers have frames of 20 ms, and each costs some Python."""

_MAX_AMPLITUDE = 32_768.0
"""Float files scaled like 16-bit integers exist (the loudness gain brings them down); beyond is garbage."""


def decode(source: ByteSource, *, max_seconds: float) -> Generator[Samples, None, None]:
    """Decodes the first audio stream that gives samples.

    The source is read front to back, so decoding keeps up with one that is still growing. Only what cannot be
    decoded like that (an mp4 whose index is at its end) is tried again with seeking.

    Args:
        source: Read from where it stands; its exceptions pass through unchanged.
        max_seconds: Longest recording; checked on what was decoded, whatever the header says.

    Yields:
        Consecutive blocks of shape (n,), 1 s at first and 5 s later, the last one shorter.

    Raises:
        InvalidAudioError: Not audio, no samples, cut off, shorter than 0.1 s or longer than ``max_seconds``.
    """
    limit = int(max_seconds * SAMPLE_RATE)
    pending: list[Samples] = []
    pending_samples = blocks = total = 0
    with closing(_decode_first_audio(source)) as pieces:
        for piece in pieces:
            total += len(piece)
            if total > limit:
                raise AudioTooLongError(max_seconds)
            pending.append(piece)
            pending_samples += len(piece)
            while pending_samples >= (size := FIRST_BLOCK if blocks < FIRST_BLOCKS else BLOCK):
                joined = np.concatenate(pending)
                yield joined[:size]
                blocks += 1
                pending = [joined[size:].copy()]
                pending_samples -= size
    if total < MIN_SAMPLES:
        raise InvalidAudioError(
            "Audio file is too short. Minimum audio length is 0.1 seconds.", code="audio_too_short"
        )
    if pending_samples:
        yield np.concatenate(pending)


def _decode_first_audio(inner: ByteSource) -> Generator[Samples, None, None]:
    """Reads front to back first, then again with seeking for each audio stream, until one is heard."""
    start = inner.tell() if inner.seekable() else None
    for seekable, candidate in _PASSES:
        if seekable:
            if start is None:
                break
            inner.seek(start)
        source = GuardedSource(inner, seekable=seekable)
        with _open(source, _LARGE_PROBE if seekable else _SMALL_PROBE) as container:
            streams = [] if container is None else [s for s in container.streams.audio if _has_decoder(s)]
            if container is not None and candidate < len(streams):
                heard = False
                for piece in _decode_stream(source, container, streams[candidate]):
                    heard = True
                    yield piece
                if heard:
                    return
            elif seekable:
                break
    raise InvalidAudioError


@contextmanager
def _open(source: GuardedSource, probe: dict[str, str]) -> Iterator[InputContainer | None]:
    """Opens the container; None where it is none of ours."""
    try:
        container = av.open(
            source,
            mode="r",
            container_options={"format_whitelist": DEMUXERS, "protocol_whitelist": "none", **probe},
            metadata_errors="replace",  # tags in Latin-1 are common, and not what we read
            io_open=refuse_opening,
        )
    except (av.FFmpegError, PermissionError):
        source.raise_error()
        yield None
        return
    try:
        source.raise_error()
        yield container
    finally:
        container.close()


def refuse_opening(url: str, flags: int, options: dict[str, str]) -> object:  # noqa: ARG001  FFmpeg's signature
    """Stands where FFmpeg would open what a file refers to."""
    raise PermissionError("a recording may not refer to other files")


def _announced_bytes(container: InputContainer, stream: AudioStream) -> int:
    """Bytes the sample table of an mp4 promises; other containers make no such promise we could hold them to.

    An mp4 whose index comes first opens although its end is missing, and FFmpeg then stops without an error.
    """
    if not container.format.name.startswith("mov") or not len(stream.index_entries):
        return 0
    last = stream.index_entries[-1]
    return int(last.pos + last.size)


def _has_decoder(stream: AudioStream) -> bool:
    context: object = stream.codec_context  # PyAV's types leave out the None it has here
    return context is not None


def _decode_stream(
    source: GuardedSource, container: InputContainer, stream: AudioStream
) -> Iterator[Samples]:
    """Decodes what is sound and skips corrupt packets, as ffmpeg does."""
    to_mono = ToMono(_FRAME)
    for frame in _frames(container, stream):
        source.raise_error()
        yield from to_mono.feed(frame)
    source.raise_error()
    yield from to_mono.flush()
    if _announced_bytes(container, stream) > source.furthest:
        raise InvalidAudioError


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    errors = 0
    while errors < _MAX_DEMUX_ERRORS:
        try:
            for packet in container.demux(stream):
                errors = 0
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    continue
                yield from frames
        except av.FFmpegError:
            # The demuxer stumbled; asked again it goes on behind the damage.
            errors += 1
        except IndexError:
            # PyAV stumbles at the end of a file whose streams grew in number on the way.
            return
        else:
            return


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
        """Gives what is ready of the frame and its predecessors."""
        if frame.sample_rate not in _RATES or not frame.samples:
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
