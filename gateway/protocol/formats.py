"""A finished transcript as the body of a plain answer."""

from dataclasses import dataclass
from typing import Any

from gateway.protocol.events import encode, logprobs
from gateway.protocol.names import bills_tokens
from gateway.protocol.request import TranscriptionRequest
from gateway.protocol.usage import duration_usage, token_usage
from gateway.transcript import Transcript


@dataclass(frozen=True, slots=True)
class Rendered:
    """A body and its media type."""

    body: str
    media_type: str


def render(transcript: Transcript, request: TranscriptionRequest, *, with_logprobs: bool) -> Rendered:
    """The answer in the format that was asked for."""
    if request.response_format == "text":
        return Rendered(transcript.text + "\n", "text/plain; charset=utf-8")
    usage = token_usage if bills_tokens(request.model) else duration_usage
    answer: dict[str, Any] = {"text": transcript.text, "usage": usage(transcript)}
    if with_logprobs:
        answer["logprobs"] = logprobs(transcript.tokens)
    answer["languages"] = [{"code": code} for code in transcript.languages]
    return Rendered(encode(answer), "application/json")
