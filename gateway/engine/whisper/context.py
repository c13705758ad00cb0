"""How much of its 30 s window Whisper's encoder reads for a row, and when a shortened reading will not do.

The encoder's cost grows with what it reads, padding included: `python -m bench audio_context` measures it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from gateway.engine.whisper.decoded import MAX_NO_SPEECH_PROB
from gateway.engine.whisper.features import WINDOW_FRAMES
from gateway.engine.whisper.segments import FRAMES_PER_TIMESTAMP

if TYPE_CHECKING:
    from gateway.engine.whisper.decoded import Decoded

AudioContext: TypeAlias = Literal["full", "fit"]
"""``full`` pads each window to the 30 s that Whisper was trained on, ``fit`` to about its own length."""

FITTED_FRAMES = (500, 1000, 1500, 2000)
"""Lengths that ``fit`` pads to, in mel frames; few, so that rows share calls. CTranslate2 takes any length
up to `WINDOW_FRAMES` and cuts its positions to it; an even number, for the encoder halves it."""

MARGIN_FRAMES = 100
"""Silence behind the audio at least. A longer window is padded to the whole."""

MAX_UNTOLD_FRAMES = 200
"""Speech must be told up to here before the audio's end: a chunk ends 0.2 s behind its speech, and no pause
in it is longer than 1.5 s."""

MIN_LANGUAGE_PROBABILITY = 0.5
"""A language less sure is detected again."""


def context_frames(frames: int, context: AudioContext) -> int:
    """Frames that a window with so many frames of audio is padded to."""
    fitting = FITTED_FRAMES if context == "fit" else ()
    return next((length for length in fitting if length >= frames + MARGIN_FRAMES), WINDOW_FRAMES)


def is_doubtful(decoded: Decoded, *, frames: int, timestamp_begin: int, timestamps: bool) -> bool:
    """Whether what a shortened context gave must be decoded again in full.

    That is where Whisper's own thresholds say so; where it heard no speech or wrote none, since the VAD
    heard some; and where the text stops without a closing timestamp, or long before the audio does.

    Args:
        frames: Mel frames of audio in the window.
        timestamps: The model was to write them.
    """
    tokens = decoded.tokens
    if decoded.cut or not decoded.acceptable or decoded.no_speech_prob > MAX_NO_SPEECH_PROB:
        return True
    if all(token >= timestamp_begin for token in tokens):
        return True
    if not timestamps:
        return False
    told = (tokens[-1] - timestamp_begin) * FRAMES_PER_TIMESTAMP
    return tokens[-1] < timestamp_begin or told < frames - MAX_UNTOLD_FRAMES
