"""A finished transcript as the body of a plain answer."""

from dataclasses import dataclass
from typing import Any

from gateway.protocol.events import encode, logprobs
from gateway.protocol.request import TranscriptionRequest
from gateway.protocol.subtitles import make_cues, to_srt, to_vtt
from gateway.protocol.usage import usage_for
from gateway.protocol.verbose import verbose_transcript
from gateway.transcript import Transcript

TEXT = "text/plain; charset=utf-8"
VTT = "text/vtt; charset=utf-8"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A body and its media type."""

    body: str
    media_type: str


def render(transcript: Transcript, request: TranscriptionRequest, task: str = "transcribe") -> Rendered:
    """The answer in the format that was asked for."""
    match request.response_format:
        case "text":
            return Rendered(transcript.text, TEXT)
        case "srt":
            return Rendered(to_srt(make_cues(transcript.segments, request)), TEXT)
        case "vtt":
            return Rendered(to_vtt(make_cues(transcript.segments, request)), VTT)
        case "verbose_json":
            return Rendered(encode(verbose_transcript(transcript, request, task=task)), JSON)
        case _:
            return Rendered(encode(_json(transcript, request)), JSON)


def _json(transcript: Transcript, request: TranscriptionRequest) -> dict[str, Any]:
    answer: dict[str, Any] = {"text": transcript.text, "usage": usage_for(request.model, transcript)}
    if request.wants_logprobs:
        answer["logprobs"] = logprobs(transcript.tokens)
    answer["languages"] = [{"code": code} for code in transcript.languages]
    return answer
