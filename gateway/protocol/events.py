"""Transcript events as the JSON objects of the event stream."""

import json
from collections.abc import Iterable
from typing import Any

from gateway.errors import GatewayError
from gateway.protocol.usage import token_usage
from gateway.transcript import TextDelta, Token, Transcript

END_OF_STREAM = "[DONE]"

# JSON escapes what ends a line in ASCII; these end lines for str.splitlines and so for some clients.
_LINE_ENDS = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def encode(event: dict[str, Any]) -> str:
    """One line of JSON, whatever the text holds."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).translate(_LINE_ENDS)


def logprobs(tokens: Iterable[Token]) -> list[dict[str, Any]]:
    """Tokens with their natural log-probabilities and UTF-8 bytes."""
    return [{"token": token.text, "logprob": token.logprob, "bytes": list(token.raw)} for token in tokens]


def delta_event(delta: TextDelta, *, with_logprobs: bool) -> dict[str, Any]:
    """``transcript.text.delta``; ``logprobs`` is always a key, null where nobody asked."""
    return {
        "type": "transcript.text.delta",
        "delta": delta.text,
        "logprobs": logprobs(delta.tokens) if with_logprobs else None,
    }


def done_event(transcript: Transcript, *, with_logprobs: bool) -> dict[str, Any]:
    """``transcript.text.done``: the whole text once more, and what it cost."""
    event: dict[str, Any] = {"type": "transcript.text.done", "text": transcript.text}
    if with_logprobs:
        event["logprobs"] = logprobs(transcript.tokens)
    event["usage"] = token_usage(transcript)
    event["languages"] = [{"code": code} for code in transcript.languages]
    return event


def error_body(error: GatewayError) -> dict[str, Any]:
    """The envelope of every error, in a body or in a stream: all four keys, always."""
    return {
        "error": {
            "message": error.message,
            "type": error.type,
            "param": error.param,
            "code": error.code,
        }
    }
