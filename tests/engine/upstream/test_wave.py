"""Samples go out as a WAV file that others read as the same sound."""

import io
import wave as standard

import numpy as np

from gateway.engine.upstream.wave import LEAST_SAMPLES, wave


def test_read_by_others() -> None:
    """16 kHz, mono, 16 bits; what is too loud is cut, not wrapped around."""
    samples = np.array([0.0, 0.5, -0.5, 1.0, -1.0, 1.5, -1.5], np.float32)
    with standard.open(io.BytesIO(wave(samples))) as file:
        form = file.getframerate(), file.getnchannels(), file.getsampwidth()
        read = np.frombuffer(file.readframes(100_000), "<i2")

    assert form == (16_000, 1, 2)
    assert len(read) == LEAST_SAMPLES
    assert not read[7:].any()
    assert read[:7].tolist() == [0, 16384, -16384, 32767, -32768, 32767, -32768]
