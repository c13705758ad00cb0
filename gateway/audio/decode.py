"""A recording in, blocks of 16 kHz mono float32 out, or its length: FFmpeg through PyAV, in bounded memory.

What a stranger uploads may be hostile, so nothing in it is believed: not the name, not the duration, not the
rate; and it may never make FFmpeg open a second file or address.
"""

import math
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from gateway.audio.pcm import PCM16_BYTES, PcmDecoder, ToMono
from gateway.audio.source import ByteReader, GuardedSource
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

STEPS_PER_SECOND = 4
"""A live source is passed on this often: a step costs a change of threads, waiting costs latency."""

_LONGEST_PACKET = 60.0
"""Seconds. No codec's packets last so long; what says more is mistaken."""

_MAX_DEMUX_ERRORS = 16
"""After so many in a row, the rest of the file is given up."""

_FRAME = SAMPLE_RATE // 10
"""Samples that leave the resampler at a time: containers have frames of 20 ms, and each costs some Python."""


def decode(source: ByteReader, *, max_seconds: float) -> Generator[Samples, None, None]:
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
    _refuse_short(total)
    if pending_samples:
        yield np.concatenate(pending)


def decode_pcm16(source: ByteReader, *, rate: int, max_seconds: float) -> Generator[Samples, None, None]:
    """Takes the source for little-endian signed 16-bit mono samples.

    Args:
        source: Read front to back, from where it stands; its exceptions pass through unchanged. A last byte
            that is half a sample is dropped.
        rate: Samples per second of the source.
        max_seconds: Longest recording.

    Yields:
        Consecutive blocks of shape (n,) at 16 kHz: a quarter of a second or more as it comes, at most 5 s.

    Raises:
        InvalidAudioError: Shorter than 0.1 s or longer than ``max_seconds``.
    """
    decoder = PcmDecoder("pcm16", rate)
    least, most = rate // STEPS_PER_SECOND * PCM16_BYTES, rate * BLOCK // SAMPLE_RATE * PCM16_BYTES
    total = 0
    for pcm in _blocks(source, least=least, most=most):
        total += len(pcm)
        if total // PCM16_BYTES > max_seconds * rate:
            raise AudioTooLongError(max_seconds)
        if len(ready := decoder.feed(pcm)):
            yield ready
    _refuse_short(total // PCM16_BYTES * SAMPLE_RATE / rate)
    if len(rest := decoder.flush()):
        yield rest


def _blocks(source: ByteReader, *, least: int, most: int) -> Generator[bytes, None, None]:
    """The source in blocks of ``least`` to ``most`` bytes, the last one shorter."""
    pending = bytearray()
    while data := source.read(most - len(pending)):
        pending += data
        if len(pending) >= least:
            yield bytes(pending)
            pending.clear()
    if pending:
        yield bytes(pending)


def _refuse_short(samples: float) -> None:
    """Raises InvalidAudioError where a recording of so many samples is shorter than 0.1 s."""
    if samples < MIN_SAMPLES:
        raise InvalidAudioError(
            "Audio file is too short. Minimum audio length is 0.1 seconds.", code="audio_too_short"
        )


def announced_seconds(source: ByteReader) -> float | None:
    """What the container's header says; it may lie, or say nothing. The source stands afterwards as it stood.

    Args:
        source: Must be seekable.
    """
    start = source.tell()
    try:
        with _container(source) as container:
            seconds = (container.duration or 0) / av.time_base
    except (av.FFmpegError, OSError, ValueError):
        return None
    finally:
        source.seek(start)
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def packets_seconds(source: ByteReader) -> float | None:
    """What the first audio stream's packets last together, without decoding them: 0.2 s for hours of Opus.

    Each packet's length comes from its own beginning, so it is no promise of a header; but a container that
    says nothing about packets gives None, and decoding has the last word all the same.

    Args:
        source: Must be seekable. It is read to its end, and left there.
    """
    try:
        with _container(source) as container:
            stream = container.streams.audio[0]
            base = float(stream.time_base or 0)
            longest = _LONGEST_PACKET / base if base else 0
            # FFmpeg's Vorbis demuxer gives the last packet a negative length, which arrives unsigned.
            durations = (packet.duration or 0 for packet in container.demux(stream))
            ticks = sum(duration for duration in durations if 0 < duration <= longest)
    except (av.FFmpegError, OSError, ValueError, IndexError):
        return None
    seconds = ticks * base
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def _decode_first_audio(inner: ByteReader) -> Generator[Samples, None, None]:
    """Reads front to back first, then again with seeking for each audio stream, until one gives samples."""
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
                has_samples = False
                for piece in _decode_stream(source, container, streams[candidate]):
                    has_samples = True
                    yield piece
                if has_samples:
                    return
            elif seekable:
                break
    raise InvalidAudioError


@contextmanager
def _open(source: GuardedSource, probe: dict[str, str]) -> Iterator[InputContainer | None]:
    """The opened container; None where it is none that we decode."""
    try:
        container = _container(source, probe)
    except (av.FFmpegError, PermissionError):
        source.raise_error()
        yield None
        return
    try:
        source.raise_error()
        yield container
    finally:
        container.close()


def _container(source: object, probe: dict[str, str] | None = None) -> InputContainer:
    """Opens one of `DEMUXERS`' containers, and never anything that it refers to."""
    return av.open(
        source,
        mode="r",
        container_options={"format_whitelist": DEMUXERS, "protocol_whitelist": "none", **(probe or {})},
        metadata_errors="replace",  # tags in Latin-1 are common, and not what we read
        io_open=refuse_opening,
    )


def refuse_opening(url: str, flags: int, options: dict[str, str]) -> object:  # noqa: ARG001  FFmpeg's signature
    """Refuses, in the place of the function that opens what a container refers to."""
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
    """Decodes the packets that are sound and skips corrupt ones, as ffmpeg does."""
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
            # The demuxer stumbled; asked again it goes on after the damage.
            errors += 1
        except IndexError:
            # PyAV stumbles at the end of a file whose streams grew in number on the way.
            return
        else:
            return
