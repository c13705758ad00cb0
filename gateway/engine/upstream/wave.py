"""Samples as a WAV file: what every upstream reads, and the cheapest to make."""

import struct

import numpy as np

from gateway.audio.types import SAMPLE_RATE, Samples

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_BYTES = 2

LEAST_SAMPLES = SAMPLE_RATE // 5
"""Shorter audio is followed by silence: OpenAI refuses less than 0.1 s."""


def wave(samples: Samples) -> bytes:
    """16-bit PCM at 16 kHz, mono, of at least `LEAST_SAMPLES`; louder samples than full scale are cut."""
    if len(samples) < LEAST_SAMPLES:
        samples = np.pad(samples, (0, LEAST_SAMPLES - len(samples)))
    data: bytes = np.clip(samples * 32768.0, -32768, 32767).astype("<i2").tobytes()
    rate = SAMPLE_RATE
    header = _HEADER.pack(
        *(b"RIFF", _HEADER.size - 8 + len(data), b"WAVE", b"fmt ", 16, 1, 1),
        *(rate, rate * _BYTES, _BYTES, 8 * _BYTES, b"data", len(data)),
    )
    return header + data
