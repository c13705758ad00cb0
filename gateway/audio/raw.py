"""Samples without a container: what microphones and telephones send."""

from collections.abc import Generator

import numpy as np
from av.audio.frame import AudioFrame

from gateway.audio.decode import BLOCK, MIN_SAMPLES, ToMono
from gateway.audio.source import ByteSource
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.errors import AudioTooLongError, InvalidAudioError

STEPS_PER_SECOND = 4
"""A live source is passed on this often: a step costs a change of threads, waiting costs latency."""

_WIDTH = 2


def decode_pcm16(source: ByteSource, *, rate: int, max_seconds: float) -> Generator[Samples, None, None]:
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
    to_mono = ToMono()
    total = 0
    for pcm in _blocks(
        source, least=rate // STEPS_PER_SECOND * _WIDTH, most=rate * BLOCK // SAMPLE_RATE * _WIDTH
    ):
        total += len(pcm) // _WIDTH
        if total > max_seconds * rate:
            raise AudioTooLongError(max_seconds)
        frame = AudioFrame.from_ndarray(np.frombuffer(pcm, dtype="<i2")[None], format="s16", layout="mono")
        frame.sample_rate = rate
        if ready := to_mono.feed(frame):
            yield np.concatenate(ready)
    if total * SAMPLE_RATE < MIN_SAMPLES * rate:
        raise InvalidAudioError(
            "Audio file is too short. Minimum audio length is 0.1 seconds.", code="audio_too_short"
        )
    if rest := to_mono.flush():
        yield np.concatenate(rest)


def _blocks(source: ByteSource, *, least: int, most: int) -> Generator[bytes, None, None]:
    """The source in blocks of whole samples, of ``least`` to ``most`` bytes, the last one shorter."""
    pending = bytearray()
    while data := source.read(most - len(pending)):
        pending += data
        if len(pending) >= least:
            whole = len(pending) - len(pending) % _WIDTH
            yield bytes(pending[:whole])
            del pending[:whole]
    if whole := len(pending) - len(pending) % _WIDTH:
        yield bytes(pending[:whole])
