"""`usage`: what a transcription cost, in tokens or in seconds, as the model's name lets the client expect."""

import math
from typing import Any

from gateway.transcript import Transcript

AUDIO_TOKENS_PER_SECOND = 10
"""As OpenAI counts input audio for its gpt-* transcription models."""


def token_usage(transcript: Transcript) -> dict[str, Any]:
    """Usage of the ``tokens`` kind, the only one an event stream may carry."""
    audio = math.ceil(transcript.duration * AUDIO_TOKENS_PER_SECOND)
    text = transcript.prompt_tokens
    output = sum(len(segment.tokens) for segment in transcript.segments)
    return {
        "type": "tokens",
        "input_tokens": audio + text,
        "output_tokens": output,
        "total_tokens": audio + text + output,
        "input_token_details": {"audio_tokens": audio, "text_tokens": text},
    }


def duration_usage(transcript: Transcript) -> dict[str, Any]:
    """Usage of the ``duration`` kind: whole seconds, rounded up."""
    return {"type": "duration", "seconds": math.ceil(transcript.duration)}
