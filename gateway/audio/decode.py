"""A recording in, blocks of 16 kHz mono float32 out: FFmpeg through PyAV, in bounded memory.

What a stranger uploads may be hostile, so nothing in it is believed: not the name, not the duration, not the
rate; and it may never make FFmpeg open a second file or address.
"""

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from gateway.audio.clock import Clock
from gateway.audio.containers import (
    LARGE_PROBE,
    SMALL_PROBE,
    announced_bytes,
    frames,
    has_decoder,
    make_clock,
    opened,
)
from gateway.audio.joined import Recordings
from gateway.audio.mono import ToMono, is_sound
from gateway.audio.pcm import PCM16_BYTES, PcmDecoder
from gateway.audio.source import ByteReader, GuardedSource
from gateway.audio.tracks import TrackChoice
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.errors import AudioTooLongError, InvalidAudioError, InvalidRequestError

FIRST_BLOCKS = 5
"""So many blocks of one second come first, that a first chunk can be cut early; later ones hold five."""

FIRST_BLOCK = SAMPLE_RATE
BLOCK = 5 * SAMPLE_RATE

MIN_SAMPLES = SAMPLE_RATE // 10
"""OpenAI refuses what is shorter than 0.1 s."""

STEPS_PER_SECOND = 4
"""A live source is passed on this often: a step costs a change of threads, waiting costs latency."""

_MAX_TRACKS = 8
"""So many sound tracks are looked at where none is named: each may have a look-ahead to be held."""

_FRAME = SAMPLE_RATE // 10
"""Samples that leave the resampler at a time: containers have frames of 20 ms, and each costs some Python."""


def decode(
    source: ByteReader, *, max_seconds: float, track: int | None = None
) -> Generator[Samples, None, None]:
    """Decodes one sound track, each sample at its time by the container's clock: pauses in it are silence.

    The source is read front to back, so decoding keeps up with one that is still growing. Only what cannot be
    decoded like that (an mp4 whose index is at its end) is tried again with seeking.

    Args:
        source: Read from where it stands; its exceptions pass through unchanged.
        max_seconds: Longest recording; checked on what was decoded, whatever the header says.
        track: Which sound track, from 1; None chooses, see `TrackChoice`.

    Yields:
        Consecutive blocks of shape (n,), 1 s at first and 5 s later, the last one shorter.

    Raises:
        InvalidAudioError: Not audio, no samples, cut off, shorter than 0.1 s or longer than ``max_seconds``.
        InvalidRequestError: There is no such track.
    """
    limit = int(max_seconds * SAMPLE_RATE)
    pending: list[Samples] = []
    pending_samples = blocks = total = 0
    with closing(_decode_recordings(source, track)) as pieces:
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


def decode_pcm16(
    source: ByteReader, *, rate: int, max_seconds: float, track: int | None = None
) -> Generator[Samples, None, None]:
    """Takes the source for little-endian signed 16-bit mono samples.

    Args:
        source: Read front to back, from where it stands; its exceptions pass through unchanged. A last byte
            that is half a sample is dropped.
        rate: Samples per second of the source.
        max_seconds: Longest recording.
        track: There is but one.

    Yields:
        Consecutive blocks of shape (n,) at 16 kHz: a quarter of a second or more as it comes, at most 5 s.

    Raises:
        InvalidAudioError: Shorter than 0.1 s or longer than ``max_seconds``.
        InvalidRequestError: There is no such track.
    """
    _refuse_track(track, 1)
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


def _refuse_track(track: int | None, tracks: int) -> None:
    """Raises InvalidRequestError where a recording has sound tracks, but not so many."""
    if track is not None and 0 < tracks < track:
        raise InvalidRequestError(
            f"There is no sound track {track}: the file has {tracks}, counted from 1.",
            param="track",
            code="invalid_value",
        )


def _decode_recordings(inner: ByteReader, track: int | None) -> Generator[Samples, None, None]:
    """Reads front to back first, then again with seeking if that gave no samples."""
    start = inner.tell() if inner.seekable() else None
    recordings = Recordings(inner)
    reading = _Reading(GuardedSource(recordings, seekable=False), track)
    yield from reading.decode(SMALL_PROBE)
    while reading.has_samples and recordings.advance():
        yield from _Reading(GuardedSource(recordings, seekable=False), track).decode(SMALL_PROBE)
    if not reading.has_samples and start is not None:
        inner.seek(start)
        reading = _Reading(GuardedSource(inner, seekable=True), track)
        yield from reading.decode(LARGE_PROBE)
    _refuse_track(track, reading.tracks)
    if not reading.has_samples:
        raise InvalidAudioError


class _Reading:
    """One container, read once.

    Attributes:
        tracks: Sound tracks that it has.
        has_samples: One of them gave samples.
    """

    def __init__(self, source: GuardedSource, track: int | None) -> None:
        self._source = source
        self._track = track
        self.tracks = 0
        self.has_samples = False

    def decode(self, probe: dict[str, str]) -> Iterator[Samples]:
        with opened(self._source, probe) as container:
            if container is not None and (streams := self._wanted(container)):
                for samples in self._decode(container, streams):
                    self.has_samples = True
                    yield samples

    def _wanted(self, container: InputContainer) -> list[AudioStream]:
        """The track that was named; else those to choose from, the default ones first."""
        streams = list(container.streams.audio)
        self.tracks = len(streams)
        if self._track is not None:
            streams = streams[self._track - 1 : self._track]
        streams.sort(key=lambda stream: not stream.disposition & Disposition.default)
        return [stream for stream in streams if has_decoder(stream)][:_MAX_TRACKS]

    def _decode(self, container: InputContainer, streams: list[AudioStream]) -> Iterator[Samples]:
        choice = TrackChoice([stream.index for stream in streams])
        tracks = {stream.index: _Track(make_clock(container, stream)) for stream in streams}
        for index, frame in frames(container, streams, choice.wants):
            self._source.raise_error()
            for piece in tracks[index].feed(frame):
                yield from choice.feed(index, piece)
        self._source.raise_error()
        for index, track in tracks.items():
            for piece in track.flush():
                yield from choice.feed(index, piece)
        yield from choice.flush()
        for stream in streams:
            if stream.index == choice.chosen and announced_bytes(container, stream) > self._source.furthest:
                raise InvalidAudioError


class _Track:
    """A track's frames to 16 kHz mono, with silence where its clock jumps."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._to_mono = ToMono(_FRAME)

    def feed(self, frame: AudioFrame) -> Iterator[Samples]:
        if is_sound(frame):
            yield from self._place(self._clock.feed(frame))

    def flush(self) -> Iterator[Samples]:
        yield from self._place(self._clock.flush())
        yield from self._to_mono.flush()

    def _place(self, placed: Iterable[tuple[float, AudioFrame]]) -> Iterator[Samples]:
        for silence, frame in placed:
            if silence:
                yield from self._to_mono.flush()
                yield from _silence(round(silence * SAMPLE_RATE))
            yield from self._to_mono.feed(frame)


def _silence(samples: int) -> Iterator[Samples]:
    """In blocks: hours of it are never held."""
    for at in range(0, samples, BLOCK):
        yield np.zeros(min(BLOCK, samples - at), np.float32)
