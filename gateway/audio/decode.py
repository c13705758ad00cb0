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
from gateway.audio.mono import ToChannels, ToMono, is_sound
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

MOST_CHANNELS = 8
"""So many people may have a channel each: every one is cut, and heard for speech, by itself."""

_MAX_TRACKS = 8
"""So many sound tracks are looked at where none is named: each may have a look-ahead to be held."""

_FRAME = SAMPLE_RATE // 10
"""Samples that leave the resampler at a time: containers have frames of 20 ms, and each costs some Python."""


def decode(
    source: ByteReader, *, max_seconds: float, track: int | None = None, channels: int | None = None
) -> Generator[Samples, None, None]:
    """Decodes one sound track, each sample at its time by the container's clock: pauses in it are silence.

    The source is read front to back, so decoding keeps up with one that is still growing. Only what cannot be
    decoded like that (an mp4 whose index is at its end) is tried again with seeking.

    Args:
        source: Read from where it stands; its exceptions pass through unchanged.
        max_seconds: Longest recording; checked on what was decoded, whatever the header says.
        track: Which sound track, from 1; None chooses, see `TrackChoice`.
        channels: They stay apart, and there must be at least so many; then it is the default track where none
            is named.

    Yields:
        Consecutive blocks of shape (n,), or (n, channels) where they stay apart, 1 s at first and 5 s later,
        the last one shorter.

    Raises:
        InvalidAudioError: Not audio, no samples, cut off, shorter than 0.1 s or longer than ``max_seconds``.
        InvalidRequestError: There is no such track, or not as many channels.
    """
    limit = int(max_seconds * SAMPLE_RATE)
    pending: list[Samples] = []
    pending_samples = blocks = total = 0
    with closing(_decode_recordings(source, track, channels)) as pieces:
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


def _refuse_channels(found: int, least: int) -> None:
    """Raises InvalidRequestError where channels cannot be people."""
    if found < 2:
        raise InvalidRequestError(
            "channels=speakers needs a recording with one person on each channel; this one has a single "
            "channel.",
            param="channels",
            code="invalid_value",
        )
    if found > MOST_CHANNELS:
        raise InvalidRequestError(
            f"channels=speakers takes recordings of at most {MOST_CHANNELS} channels; this one has {found}.",
            param="channels",
            code="invalid_value",
        )
    if found < least:
        raise InvalidRequestError(
            f"There are {least} known_speaker_names for the channels, and {found} channels.",
            param="known_speaker_names",
        )


def _decode_recordings(
    inner: ByteReader, track: int | None, channels: int | None
) -> Generator[Samples, None, None]:
    """Reads front to back first, then again with seeking if that gave no samples."""
    start = inner.tell() if inner.seekable() else None
    recordings = Recordings(inner)
    reading = _Reading(GuardedSource(recordings, seekable=False), track, channels)
    yield from reading.decode(SMALL_PROBE)
    while reading.has_samples and recordings.advance():
        following = _Reading(GuardedSource(recordings, seekable=False), track, channels)
        following.channels = reading.channels
        yield from following.decode(SMALL_PROBE)
    if not reading.has_samples and start is not None:
        inner.seek(start)
        reading = _Reading(GuardedSource(inner, seekable=True), track, channels)
        yield from reading.decode(LARGE_PROBE)
    _refuse_track(track, reading.tracks)
    if not reading.has_samples:
        raise InvalidAudioError


class _Reading:
    """One container, read once.

    Attributes:
        tracks: Sound tracks that it has.
        has_samples: One of them gave samples.
        channels: That stay apart, once they are known; None where they are mixed.
    """

    def __init__(self, source: GuardedSource, track: int | None, least_channels: int | None) -> None:
        self._source = source
        self._track = track
        self._least_channels = least_channels
        self.channels: int | None = None
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
        most = _MAX_TRACKS if self._least_channels is None else 1
        return [stream for stream in streams if has_decoder(stream)][:most]

    def _decode(self, container: InputContainer, streams: list[AudioStream]) -> Iterator[Samples]:
        if self._least_channels is not None and self.channels is None:
            self.channels = streams[0].codec_context.layout.nb_channels
            _refuse_channels(self.channels, self._least_channels)
        choice = TrackChoice([stream.index for stream in streams])
        tracks = {stream.index: _Track(make_clock(container, stream), self.channels) for stream in streams}
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
    """A track's frames to 16 kHz, with silence where its clock jumps: mono, or so many channels apart."""

    def __init__(self, clock: Clock, channels: int | None) -> None:
        self._clock = clock
        self._shape = () if channels is None else (channels,)
        self._resampled = ToMono(_FRAME) if channels is None else ToChannels(channels, _FRAME)

    def feed(self, frame: AudioFrame) -> Iterator[Samples]:
        if is_sound(frame):
            yield from self._place(self._clock.feed(frame))

    def flush(self) -> Iterator[Samples]:
        yield from self._place(self._clock.flush())
        yield from self._resampled.flush()

    def _place(self, placed: Iterable[tuple[float, AudioFrame]]) -> Iterator[Samples]:
        for silence, frame in placed:
            if silence:
                yield from self._resampled.flush()
                yield from self._silence(round(silence * SAMPLE_RATE))
            yield from self._resampled.feed(frame)

    def _silence(self, samples: int) -> Iterator[Samples]:
        """In blocks: hours of it are never held."""
        for at in range(0, samples, BLOCK):
            yield np.zeros((min(BLOCK, samples - at), *self._shape), np.float32)
