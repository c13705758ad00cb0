"""Transcript events as the JSON objects of the event stream."""

import json
from collections.abc import Iterable
from typing import Any

from gateway.errors import GatewayError
from gateway.protocol.request import TranscriptionRequest
from gateway.protocol.usage import token_usage
from gateway.protocol.verbose import word_objects
from gateway.transcript import (
    Interim,
    SegmentDone,
    TextDelta,
    Token,
    Transcript,
    TranscriptDone,
    TranscriptEvent,
)

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


def interim_event(interim: Interim) -> dict[str, Any]:
    """``transcript.text.interim``, ours: what to show behind all deltas, its joining space included."""
    return {"type": "transcript.text.interim", "text": interim.text}


def done_event(transcript: Transcript, *, with_logprobs: bool) -> dict[str, Any]:
    """``transcript.text.done``: the whole text once more, and what it cost."""
    event: dict[str, Any] = {"type": "transcript.text.done", "text": transcript.text}
    if with_logprobs:
        event["logprobs"] = logprobs(transcript.tokens)
    event["usage"] = token_usage(transcript)
    event["languages"] = [{"code": code} for code in transcript.languages]
    return event


def segment_event(done: SegmentDone, *, with_words: bool) -> dict[str, Any]:
    """``transcript.text.segment``: a closed segment; ``speaker`` is empty where none was told."""
    event: dict[str, Any] = {
        "type": "transcript.text.segment",
        "id": f"seg_{done.index:03}",
        "start": round(done.segment.start, 3),
        "end": round(done.segment.end, 3),
        "speaker": done.segment.speaker or "",
        "text": done.segment.text,
    }
    if with_words:
        event["words"] = word_objects(done.segment.words)
    return event


class EventRenderer:
    """The wire's events for one request; the same on an event stream and on a WebSocket."""

    def __init__(self, request: TranscriptionRequest, *, with_logprobs: bool) -> None:
        self._with_logprobs = with_logprobs
        self._with_segments = request.response_format == "verbose_json"
        self._with_words = "word" in request.timestamp_granularities

    def render(self, event: TranscriptEvent) -> list[dict[str, Any]]:
        """The objects one event becomes; none, where this request did not ask for it."""
        match event:
            case TextDelta():
                return [delta_event(event, with_logprobs=self._with_logprobs)]
            case Interim():
                return [interim_event(event)]
            case SegmentDone() if self._with_segments:
                return [segment_event(event, with_words=self._with_words)]
            case TranscriptDone(transcript):
                return [done_event(transcript, with_logprobs=self._with_logprobs)]
            case _:
                return []


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
