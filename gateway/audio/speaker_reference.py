"""Known speakers: a recording of a voice that has a name."""

import io

import numpy as np

from gateway.audio.decode import decode
from gateway.audio.speaker_clusters import unit
from gateway.audio.speaker_model import SpeakerModel
from gateway.audio.speakers import KnownSpeaker
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.errors import AudioTooLongError, InvalidAudioError, InvalidRequestError

SHORTEST_SECONDS, LONGEST_SECONDS = 2.0, 10.0
"""OpenAI's limits."""

SLACK_SECONDS = 0.05
"""Of an encoder that pads its last packet, or cuts it."""

KNOWN, KNOWN_SHORT = 0.45, 0.40
"""Cosine from which a voice is a known one's: of `LONG_SECONDS` or more of reference, and of less."""

LONG_SECONDS = 5.0


def enrol(model: SpeakerModel, name: str, data: bytes) -> KnownSpeaker:
    """The voice in a recording, in any format that is decoded. Computes for a while.

    Raises:
        InvalidRequestError: It is no audio, too short or too long, or nobody speaks in it.
    """
    samples = _decoded(name, data)
    voices = model.hear(samples)
    if not voices:
        raise InvalidRequestError(f"Nobody speaks in the reference of '{name}'.")
    total = sum(voice.embedding * np.float32(voice.end - voice.start) for voice in voices)
    nearest = KNOWN if len(samples) >= LONG_SECONDS * SAMPLE_RATE else KNOWN_SHORT
    return KnownSpeaker(name, unit(np.asarray(total)), nearest)


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
