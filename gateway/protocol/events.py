"""Transcript events as the JSON objects of the event stream, and the parts that other answers share.

What a builder returns is a plain dict; its type is the shape that the OpenAPI document publishes.
"""

import json
import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NotRequired, cast

from pydantic import Field
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from gateway.errors import GatewayError
from gateway.protocol.contracts import contract
from gateway.protocol.request import TranscriptionRequest
from gateway.transcript import (
    Interim,
    Segment,
    SegmentDone,
    TextDelta,
    Token,
    Transcript,
    TranscriptDone,
    TranscriptEvent,
)
from gateway.transcript import Word as SpokenWord
from gateway.transcript.writing import EDGE_PUNCTUATION

END_OF_STREAM = "[DONE]"

AUDIO_TOKENS_PER_SECOND = 10
"""As OpenAI counts input audio for its gpt-* transcription models."""


def about(description: str, **more: Any) -> Any:
    """What the OpenAPI document says of a field, its limits among it; an ``enum`` or a ``default`` too."""
    extra: dict[str, Any] = {name: more.pop(name) for name in ("enum", "default") if name in more}
    return Field(description=description, json_schema_extra=extra, **more)


Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Start = Annotated[Seconds, about("Seconds from the recording's start.")]

# JSON escapes what ends a line in ASCII; these end lines for str.splitlines and so for some clients.
_LINE_ENDS = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})


class TokenLogprob(TypedDict):
    """A token of the text and what the model thought of it."""

    token: Annotated[
        str, about("The token's text. Where a character is split over tokens, only `bytes` are exact.")
    ]
    logprob: Annotated[float, about("Natural logarithm of the token's probability.", le=0)]
    bytes: Annotated[list[Annotated[int, Field(ge=0, le=255)]], about("The token's UTF-8 bytes.")]


class LanguageCode(TypedDict):
    """A language that was heard."""

    code: Annotated[str, about("ISO 639-1, where the language has such a code.", examples=["en"])]


class TokenDetails(TypedDict):
    """What the input tokens were."""

    audio_tokens: Annotated[Count, about("Ten for each second of audio, rounded up.")]
    text_tokens: Annotated[Count, about("Tokens of the prompt.")]


class TokenUsage(TypedDict):
    """Usage in tokens: in event streams, and in plain answers of the gpt-* names."""

    type: Literal["tokens"]
    seconds: NotRequired[Annotated[Count, about("Only for names with a prefix, as in `openai/whisper-1`.")]]
    input_tokens: Annotated[Count, about("Audio and prompt together.")]
    output_tokens: Annotated[Count, about("Tokens of the transcript.")]
    total_tokens: Annotated[Count, about("Input and output together.")]
    input_token_details: TokenDetails


class DurationUsage(TypedDict):
    """Usage in seconds: of all other names, and in verbose_json."""

    type: Literal["duration"]
    seconds: Annotated[Count, about("The recording's length, rounded up.")]
    input_tokens: NotRequired[
        Annotated[
            Count, about("Only for names with a prefix, as in `openai/whisper-1`; so are the next two.")
        ]
    ]
    output_tokens: NotRequired[Annotated[Count, about("Tokens of the transcript.")]]
    total_tokens: NotRequired[Annotated[Count, about("Input and output together.")]]


class Word(TypedDict):
    """A word and its times."""

    word: Annotated[str, about("Without the punctuation at its ends.")]
    start: Start
    end: Start


class TextDeltaEvent(TypedDict):
    """The next piece of text. It is never taken back: the deltas joined are the text."""

    type: Literal["transcript.text.delta"]
    delta: Annotated[str, about("What to append.")]
    logprobs: Annotated[
        list[TokenLogprob] | None,
        about(
            "The delta's tokens when include[]=logprobs asked for them, and always for names that "
            "are none of OpenAI's; else null."
        ),
    ]
    segment_id: NotRequired[Annotated[str, about("The segment it belongs to, in diarized_json.")]]


class TextSegmentEvent(TypedDict):
    """A closed segment with its times, when verbose_json or diarized_json is streamed."""

    type: Literal["transcript.text.segment"]
    id: Annotated[str, about("Counts from seg_000.", examples=["seg_000"])]
    start: Start
    end: Start
    speaker: Annotated[str, about("Empty where speakers are not told apart.")]
    text: Annotated[str, about("The segment's text.")]
    words: NotRequired[
        Annotated[list[Word], about("Present when timestamp_granularities[]=word asked for them.")]
    ]


class TextDoneEvent(TypedDict):
    """The whole text once more, at the end."""

    type: Literal["transcript.text.done"]
    text: Annotated[str, about("All deltas joined.")]
    logprobs: NotRequired[Annotated[list[TokenLogprob], about("All tokens, under the deltas' conditions.")]]
    usage: TokenUsage
    languages: Annotated[list[LanguageCode], about("The languages heard; none in silence.")]


class TextInterimEvent(TypedDict):
    """The plain WebSocket's own: what to show after all deltas, its joining space included."""

    type: Literal["transcript.text.interim"]
    text: str


class Error(TypedDict):
    """What went wrong."""

    message: Annotated[str, about("One or two sentences for a person.")]
    type: Annotated[
        str,
        about("Whose mistake it is.", enum=["invalid_request_error", "server_error"]),
    ]
    param: Annotated[str | None, about("The parameter at fault, if one is.")]
    code: Annotated[str | None, about("A word for programs, if there is one.", examples=["invalid_value"])]


class ErrorEnvelope(TypedDict):
    """Every refusal, as a body or as the last data line of an event stream."""

    error: Error


def encode(value: object) -> str:
    """One line of JSON, whatever the text holds."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_LINE_ENDS)


def logprobs(tokens: Iterable[Token]) -> list[TokenLogprob] | None:
    """The tokens with their log-probabilities and UTF-8 bytes; None where some were decoded without."""
    tokens = list(tokens)
    if any(token.logprob is None for token in tokens):
        return None
    return [
        {"token": token.text, "logprob": cast("float", token.logprob), "bytes": list(token.raw)}
        for token in tokens
    ]


def language_codes(transcript: Transcript) -> list[LanguageCode]:
    """The languages that were heard."""
    return [{"code": code} for code in transcript.languages]


def word_times(words: Iterable[SpokenWord]) -> list[Word]:
    """Words without the punctuation at their ends; what is nothing else is left out."""
    stripped = ((word.text.strip(EDGE_PUNCTUATION), word) for word in words)
    return [
        {"word": text, "start": round(word.start, 3), "end": round(word.end, 3)}
        for text, word in stripped
        if text
    ]


def token_usage(transcript: Transcript, *, both_ways: bool = False) -> TokenUsage:
    """Usage of the ``tokens`` kind, the only one in event streams; ``both_ways``: in seconds, too."""
    audio = math.ceil(transcript.duration * AUDIO_TOKENS_PER_SECOND)
    inputs = audio + transcript.prompt_tokens
    output = sum(len(segment.tokens) for segment in transcript.segments)
    usage: TokenUsage = {
        "type": "tokens",
        "seconds": math.ceil(transcript.duration),
        "input_tokens": inputs,
        "output_tokens": output,
        "total_tokens": inputs + output,
        "input_token_details": {"audio_tokens": audio, "text_tokens": transcript.prompt_tokens},
    }
    if not both_ways:
        del usage["seconds"]
    return usage


def duration_usage(transcript: Transcript, *, both_ways: bool = False) -> DurationUsage:
    """Usage of the ``duration`` kind, whole seconds, rounded up; ``both_ways``: in tokens, too."""
    usage: DurationUsage = {"type": "duration", "seconds": math.ceil(transcript.duration)}
    if both_ways:
        tokens = token_usage(transcript)
        usage["input_tokens"] = tokens["input_tokens"]
        usage["output_tokens"] = tokens["output_tokens"]
        usage["total_tokens"] = tokens["total_tokens"]
    return usage


def usage_for(model: str, transcript: Transcript, *, both_ways: bool = True) -> TokenUsage | DurationUsage:
    """Usage of the kind that belongs to the model's name.

    Args:
        both_ways: Of a name with its provider before it both kinds' fields, as such gateways give.
    """
    expected = contract(model)
    usage = token_usage if expected.bills_tokens else duration_usage
    return usage(transcript, both_ways=expected.prefixed and both_ways)


def segment_id(index: int) -> str:
    """What clients know a segment by."""
    return f"seg_{index:03}"


def diarized_segment(index: int, segment: Segment) -> TextSegmentEvent:
    """A segment and its speaker, as an event and in a plain answer."""
    return {
        "type": "transcript.text.segment",
        "id": segment_id(index),
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "speaker": segment.speaker or "",
        "text": segment.text.strip(),
    }


def error_body(error: GatewayError) -> ErrorEnvelope:
    """The envelope of every error, in a body or in a stream: all four keys, always."""
    return {
        "error": {
            "message": error.message,
            "type": error.type,
            "param": error.param,
            "code": error.code,
        }
    }


StreamEvent = TextDeltaEvent | TextInterimEvent | TextSegmentEvent | TextDoneEvent


class EventRenderer:
    """The wire's events for one request; the same on an event stream and on a WebSocket."""

    def __init__(self, request: TranscriptionRequest, *, with_logprobs: bool) -> None:
        self._with_logprobs = with_logprobs
        self._diarizes = request.response_format == "diarized_json"
        self._with_segments = self._diarizes or request.response_format == "verbose_json"
        self._open_segment = 0
        """What comes belongs to the segment of this index."""
        self._with_words = "word" in request.timestamp_granularities

    def render(self, event: TranscriptEvent) -> list[StreamEvent]:
        """The objects one event becomes; none, where this request did not ask for it."""
        match event:
            case TextDelta(text, tokens):
                return [self._delta(text, tokens)]
            case Interim(text):
                return [{"type": "transcript.text.interim", "text": text}]
            case SegmentDone(index):
                self._open_segment = index + 1
                return [self._segment(event)] if self._with_segments else []
            case TranscriptDone(transcript):
                return [self._done(transcript)]
            case _:
                return []

    def _delta(self, text: str, tokens: Iterable[Token]) -> TextDeltaEvent:
        event: TextDeltaEvent = {
            "type": "transcript.text.delta",
            "delta": text,
            # Always a key, null where nobody asked, and where the engine has none to give unasked.
            "logprobs": logprobs(tokens) if self._with_logprobs else None,
        }
        if self._diarizes:
            event["segment_id"] = segment_id(self._open_segment)
        return event

    def _segment(self, done: SegmentDone) -> TextSegmentEvent:
        event = diarized_segment(done.index, done.segment)
        if not self._diarizes:
            event["text"] = done.segment.text
        if self._with_words:
            event["words"] = word_times(done.segment.words)
        return event

    def _done(self, transcript: Transcript) -> TextDoneEvent:
        event: TextDoneEvent = {
            "type": "transcript.text.done",
            "text": transcript.text,
            "usage": token_usage(transcript),
            "languages": language_codes(transcript),
        }
        if self._with_logprobs and (shown := logprobs(transcript.tokens)) is not None:
            event["logprobs"] = shown
        return event
