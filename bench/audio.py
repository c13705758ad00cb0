"""Recordings of any length made of the miniature's samples; long ones are never held in memory."""

import io
from fractions import Fraction
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream

from gateway.audio.decode import decode
from gateway.audio.types import SAMPLE_RATE, Samples

SAMPLES = Path(__file__).resolve().parent.parent / "tests" / "mini-whisper" / "samples"
NAMES = "en_dialogue en_numbers en_flite_slt en_long en_heldout_voice en_flite_rms en_hello".split()
"""English, clean, with the pauses of talk."""

PAUSE_SECONDS = 0.6
"""Longer pauses are cut down to it: those of the samples are longer than talk has."""

_QUIET = 0.005
_FRAME = SAMPLE_RATE // 50

LOOP_SECONDS = 240
"""A longer recording repeats itself after so long."""

OPUS_RATE = 48_000
OPUS_BITS = 16_000
"""Speech is good at that rate, and three hours stay under the upload limit."""


def load(path: Path) -> Samples:
    """A recording, decoded."""
    with path.open("rb") as file:
        return np.concatenate(list(decode(file, max_seconds=600)))


def speech(seconds: float, *, start: int = 0) -> Samples:
    """Talk of exactly that length, at most a few minutes, beginning with another sample by ``start``."""
    talk: Samples = np.zeros(0, np.float32)
    names = islice(cycle(NAMES), start, None)
    while len(talk) < seconds * SAMPLE_RATE:
        # Together, as two recordings that meet have a pause each.
        talk = _dense(np.concatenate((talk, load(SAMPLES / f"{next(names)}.flac"))))
    return talk[: round(seconds * SAMPLE_RATE)]


def _dense(samples: Samples) -> Samples:
    """Without what goes on in a pause beyond `PAUSE_SECONDS`."""
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    kept, quiet = [], 0.0
    for frame in frames:
        quiet = quiet + _FRAME / SAMPLE_RATE if np.abs(frame).max() < _QUIET else 0.0
        if quiet <= PAUSE_SECONDS:
            kept.append(frame)
    return np.concatenate(kept)


def opus(path: Path, seconds: float, *, start: int = 0) -> Path:
    """Writes talk as Ogg Opus; one that is there is taken as it is.

    It is encoded once, and its packets are written as often as the length asks for.
    """
    if path.exists():
        return path
    loop = _encoded(speech(min(seconds, LOOP_SECONDS), start=start))
    temporary = path.with_suffix(".part")
    with av.open(str(temporary), "w", format="ogg") as container:
        track = _track(container)
        for number in count():
            packet = av.Packet(loop[number % len(loop)])
            packet.stream = track
            packet.time_base = Fraction(1, OPUS_RATE)
            packet.duration = OPUS_RATE // 50
            packet.pts = packet.dts = number * packet.duration
            if packet.pts >= seconds * OPUS_RATE:
                break
            container.mux(packet)
    temporary.rename(path)
    return path


def _track(container: Any) -> AudioStream:
    track = cast("AudioStream", container.add_stream("libopus", rate=OPUS_RATE, layout="mono"))
    track.codec_context.bit_rate = OPUS_BITS
    track.codec_context.options = {"application": "voip", "vbr": "off"}
    track.codec_context.open()
    return track


def _encoded(samples: Samples) -> list[bytes]:
    """Packets of 20 ms."""
    with av.open(io.BytesIO(), "w", format="ogg") as container:
        track = _track(container)
        frame = AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        context = track.codec_context
        resampler = AudioResampler(context.format, context.layout, OPUS_RATE, context.frame_size)
        ready = [*resampler.resample(frame), *resampler.resample(None)]
        return [bytes(packet) for each in ready for packet in track.encode(each) if packet.size]
