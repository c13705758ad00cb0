"""Frames of containers, of any rate and layout, to 16 kHz: mono with every channel's speech, or channels."""

from typing import TYPE_CHECKING, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.errors import InvalidRequestError

if TYPE_CHECKING:
    from av.audio.layout import AudioLayout

FRAME_RATES = range(1_000, 768_001)
"""Samples per second of a container. One outside is a broken header's; at 1 Hz a few kilobytes last hours."""

_MAX_AMPLITUDE = 32_768.0
"""Float files scaled like 16-bit integers exist (the loudness gain brings them down)."""

_GARBAGE = 2.0**31
"""Beyond lies what no program writes on purpose. As loud as may be it would have silenced all around it."""

_WEIGHTS = {"FC": 1.0, "FL": 0.707, "FR": 0.707, "LFE": 0.0, "LFE2": 0.0}
"""Of named channels of surround sound, as ITU-R BS.775 mixes them; others count half."""

_REMAINS = 0.8
"""Of what a channel's phase is judged by, after each block of 0.1 s."""

_OPPOSED = -0.4
_AGREED = 0.2
"""Likeness below which a channel counts as opposed, and above which no longer; between it stays as it was."""

_TURNED = -0.5
"""What an opposed channel counts: turned it cannot cancel, and halved it leaves what both have in common."""


class Downmix:
    """Channels of one layout to one, 16 kHz. Of channels that would cancel each other one is turned over.

    The channels are added one to the next. Each is held against the sum of those before it by the likeness
    2·⟨a, b⟩ / (⟨a, a⟩ + ⟨b, b⟩), over a few tenths of a second, by their differences from sample to sample,
    so that hum decides nothing: -1 is a channel that leaves nothing of the sum. Speech of different people on
    different channels has a likeness of about 0.
    """

    def __init__(self, layout: "AudioLayout") -> None:
        names = [channel.name for channel in layout.channels]
        surround = len(names) > 2 and "FC" in names
        self._weights = [_WEIGHTS.get(name, 0.5) if surround else 1.0 for name in names]
        self._total = sum(self._weights)
        self._cross = np.zeros(len(names))
        self._power = np.zeros(len(names))
        self._factors = [1.0] * len(names)

    def mix(self, channels: Samples) -> Samples:
        """Takes shape (n, channels), gives shape (n,)."""
        mixed = np.zeros(len(channels), np.float32)
        for at, weight in enumerate(self._weights):
            channel = channels[:, at] * np.float32(weight)
            factor = self._judge(at, mixed, channel) if at and weight else 1.0
            last, self._factors[at] = self._factors[at], factor
            if last == factor:
                mixed += channel * np.float32(factor)
            else:  # over the whole block, so that nothing jumps
                mixed += channel * np.linspace(last, factor, len(mixed), dtype=np.float32)
        mixed /= self._total
        return mixed

    def _judge(self, at: int, mixed: Samples, channel: Samples) -> float:
        one, other = np.diff(mixed), np.diff(channel)
        self._cross[at] = _REMAINS * self._cross[at] + 2 * float(one @ other)
        self._power[at] = _REMAINS * self._power[at] + float(one @ one + other @ other)
        if self._cross[at] < _OPPOSED * self._power[at]:
            return _TURNED
        return 1.0 if self._cross[at] > _AGREED * self._power[at] else self._factors[at]


class ToMono:
    """Frames of any kind to 16 kHz mono; the resampler is built anew whenever a frame's parameters change.

    Args:
        least: Samples to gather before any are given; 0 gives what is there.
    """

    def __init__(self, least: int = 0) -> None:
        self._least = least
        self._resampler: AudioResampler | None = None
        self._downmix: Downmix | None = None
        self._parameters: tuple[int, str, str] | None = None
        self._average = False

    def feed(self, frame: AudioFrame) -> list[Samples]:
        """Takes the next frame; gives what is ready of it and its predecessors."""
        if not is_sound(frame):
            return []
        out: list[Samples] = []
        parameters = (frame.sample_rate, frame.format.name, frame.layout.name)
        if parameters != self._parameters:
            out += self.flush()
            self._parameters = parameters
            self._average = False
            self._downmix = None
        frame.pts = None  # positions are counted, so a jump in the stamps is not taken for a new stream
        try:
            if not self._average:
                return out + self._resample(frame)
        except av.FFmpegError:
            # FFmpeg resamples no more than 64 channels.
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
        if self._resampler is None and frame is not None:
            # Packed: PyAV 18.1 looks for a null behind the pointers to a frame's planes, but after eight or
            # more FFmpeg puts none, so it reads on until it crashes.
            self._resampler = AudioResampler("flt", frame.layout, SAMPLE_RATE, frame_size=self._least)
            if frame.layout.nb_channels > 1 and self._downmix is None:
                self._downmix = Downmix(frame.layout)
        if self._resampler is None:
            return []
        ready = cast("list[AudioFrame | None]", self._resampler.resample(frame))
        # One that passes frames through unchanged answers the flush with the None it was given.
        return [self._mixed(part) for part in ready if part is not None]

    def _mixed(self, frame: AudioFrame) -> Samples:
        samples = _sane(frame)
        if frame.layout.nb_channels == 1 or self._downmix is None:
            return samples
        return self._downmix.mix(samples.reshape(-1, frame.layout.nb_channels))


class ToChannels(ToMono):
    """Frames of any kind to 16 kHz with their channels apart, shape (n, channels).

    Args:
        channels: So many are given; of frames with fewer the others are silent.
        least: As of `ToMono`.
    """

    def __init__(self, channels: int, least: int = 0) -> None:
        super().__init__(least)
        self._channels = channels

    def _mixed(self, frame: AudioFrame) -> Samples:
        samples = _sane(frame).reshape(-1, frame.layout.nb_channels)
        missing = self._channels - samples.shape[1]
        if missing < 0:
            raise InvalidRequestError(
                f"Channels cannot be told apart: the recording begins with {self._channels} of them, and has "
                f"{samples.shape[1]} later on.",
                param="channels",
            )
        return np.pad(samples, ((0, 0), (0, missing))) if missing else samples


def is_sound(frame: AudioFrame) -> bool:
    """The frame has samples, at a rate that can be true."""
    return frame.samples > 0 and frame.sample_rate in FRAME_RATES


def _sane(frame: AudioFrame) -> Samples:
    """The frame's samples without NaN and infinity, which would stay in a recurrent model for good."""
    samples = frame.to_ndarray().reshape(-1).astype(np.float32)
    # Of the least and the largest any garbage is one; looking for each took a tenth of the server's time.
    if not (samples.min(initial=0.0) >= -_GARBAGE and samples.max(initial=0.0) <= _GARBAGE):
        samples[~(np.abs(samples) <= _GARBAGE)] = 0.0
    return np.clip(samples, -_MAX_AMPLITUDE, _MAX_AMPLITUDE, out=samples)


def _average(frame: AudioFrame) -> AudioFrame:
    """The mean of all channels, as a mono frame of the same rate.

    Raises:
        av.FFmpegError: More than 64 channels in planes.
    """
    if frame.format.is_planar:
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
