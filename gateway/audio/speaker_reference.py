"""Known speakers: a recording of a voice that has a name."""

import io
from collections.abc import Sequence

import numpy as np

from gateway.audio.decode import decode
from gateway.audio.speaker_clusters import cluster, unit
from gateway.audio.speaker_model import Embedding, SpeakerModel, Voice
from gateway.audio.speaker_spans import WINDOW
from gateway.audio.speakers import KnownSpeaker, is_narrow
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.errors import AudioTooLongError, InvalidAudioError, InvalidRequestError

SHORTEST_SECONDS, LONGEST_SECONDS = 2.0, 10.0
"""OpenAI's limits."""

SLACK_SECONDS = 0.05
"""Of an encoder that pads its last packet, or cuts it."""

KNOWN, KNOWN_SHORT = 0.45, 0.40
"""Cosine from which a voice is a known one's: of `LONG_SECONDS` or more of reference, and of less."""

LONG_SECONDS = 5.0

KNOWN_NARROW = 0.65
"""The same on the telephone, compared with a reference as it carries it: measured 0.74 for the same voice,
0.44 for others."""

SEVERAL = 0.74
"""Groups of windows further apart, as 1 - cosine, are two people's: 0.75 at least in 40 references of two, of
five readers. Of one person they were 0.57 at most, 0.68 in noise at 10 dB and 0.74 at 5; at 0 dB five of
thirty are beyond it, and are refused for a wrong reason."""

_STEP = WINDOW // 2
"""Closer than in recordings: `SEVERAL` was measured so, and a few seconds cost little."""

_BAND = (300, 3_400)
_MU = 255


def enrol(model: SpeakerModel, name: str, data: bytes) -> KnownSpeaker:
    """The voice in a recording, in any format that is decoded. Computes for a while.

    Raises:
        InvalidRequestError: It is no audio, too short or too long, or nobody speaks in it, or several people.
    """
    samples = _decoded(name, data)
    voices, narrow = (model.hear(each, step=_STEP) for each in (samples, by_telephone(samples)))
    if not voices or not narrow:
        raise InvalidRequestError(f"Nobody speaks in the reference of '{name}'.")
    if _are_several(voices):
        raise InvalidRequestError(f"More than one person speaks in the reference of '{name}'.")
    nearest = KNOWN if len(samples) >= LONG_SECONDS * SAMPLE_RATE else KNOWN_SHORT
    return KnownSpeaker(name, _whole(voices), nearest, _whole(narrow), KNOWN_NARROW, is_narrow(voices))


def by_telephone(samples: Samples) -> Samples:
    """As a telephone carries it: 300 to 3400 Hz, in the eight bits of G.711's mu-law."""
    spectrum = np.fft.rfft(samples)
    frequencies = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    spectrum[(frequencies < _BAND[0]) | (frequencies > _BAND[1])] = 0
    narrow = np.fft.irfft(spectrum, len(samples))[::2]
    peak = max(float(np.abs(narrow).max()), 1e-9)
    companded = np.log1p(_MU * np.abs(narrow) / peak) / np.log1p(_MU)
    expanded = np.sign(narrow) * np.expm1(np.round(companded * 127) / 127 * np.log1p(_MU)) / _MU
    # Twice as many samples, and nothing above the 4 kHz that half of them can carry.
    wide = np.fft.irfft(np.pad(np.fft.rfft(expanded), (0, len(expanded) // 2)), 2 * len(expanded))
    return np.asarray(wide[: len(samples)], dtype=np.float32)


def _are_several(voices: Sequence[Voice]) -> bool:
    """Whether they are clearly of two people; a telephone's are alike, so there it goes unnoticed."""
    enough = [voice.embedding for voice in voices if voice.is_enough]
    return bool(enough) and bool(cluster(np.stack(enough), SEVERAL).any())


def _whole(voices: Sequence[Voice]) -> Embedding:
    return unit(np.sum([voice.embedding * (voice.end - voice.start) for voice in voices], axis=0))


def _decoded(name: str, data: bytes) -> Samples:
    length = InvalidRequestError(
        f"The reference of '{name}' must be {SHORTEST_SECONDS:g} to {LONGEST_SECONDS:g} seconds long."
    )
    try:
        samples = np.concatenate(list(decode(io.BytesIO(data), max_seconds=LONGEST_SECONDS + SLACK_SECONDS)))
    except AudioTooLongError:
        raise length from None
    except InvalidAudioError:
        raise InvalidRequestError(f"The reference of '{name}' cannot be decoded as audio.") from None
    if len(samples) < (SHORTEST_SECONDS - SLACK_SECONDS) * SAMPLE_RATE:
        raise length
    return samples
