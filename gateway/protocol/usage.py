"""`usage`: what a transcription cost, in tokens or in seconds, as the model's name lets the client expect."""

import math
from typing import Any

from gateway.protocol.contracts import contract
from gateway.transcript import Transcript

AUDIO_TOKENS_PER_SECOND = 10
"""As OpenAI counts input audio for its gpt-* transcription models."""


def token_usage(transcript: Transcript) -> dict[str, Any]:
    """Usage of the ``tokens`` kind, the only one an event stream may carry."""
    audio = math.ceil(transcript.duration * AUDIO_TOKENS_PER_SECOND)
    text = transcript.prompt_tokens
    return {
        "type": "tokens",
        **_tokens(transcript),
        "input_token_details": {"audio_tokens": audio, "text_tokens": text},
    }


def duration_usage(transcript: Transcript) -> dict[str, Any]:
    """Usage of the ``duration`` kind: whole seconds, rounded up."""
    return {"type": "duration", "seconds": math.ceil(transcript.duration)}


def usage_for(model: str, transcript: Transcript, *, both_ways: bool = True) -> dict[str, Any]:
    """Usage of a plain answer, of the kind that belongs to the model's name.

    Args:
        both_ways: Of a name with its provider before it both kinds' fields, as such gateways give.
    """
    expected = contract(model)
    usage = token_usage(transcript) if expected.bills_tokens else duration_usage(transcript)
    if expected.prefixed and both_ways:
        return {**duration_usage(transcript), **_tokens(transcript), **usage}
    return usage


def _tokens(transcript: Transcript) -> dict[str, int]:
    audio = math.ceil(transcript.duration * AUDIO_TOKENS_PER_SECOND)
    output = sum(len(segment.tokens) for segment in transcript.segments)
    inputs = audio + transcript.prompt_tokens
    return {"input_tokens": inputs, "output_tokens": output, "total_tokens": inputs + output}
