"""Plain answers: a finished transcript in the format that was asked for, the models, the server's health.

What a builder returns is a plain dict; its type is the shape that the OpenAPI document publishes.
"""

import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Annotated, Literal, NotRequired

from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from gateway.protocol.contracts import contract
from gateway.protocol.events import (
    Count,
    DurationUsage,
    LanguageCode,
    Seconds,
    Start,
    TextSegmentEvent,
    TokenLogprob,
    TokenUsage,
    Word,
    about,
    diarized_segment,
    duration_usage,
    encode,
    language_codes,
    logprobs,
    usage_for,
    word_times,
)
from gateway.protocol.languages import language_name
from gateway.protocol.request import TranscriptionRequest
from gateway.protocol.subtitles import make_cues, to_srt, to_vtt
from gateway.transcript import Segment, Transcript

TEXT = "text/plain; charset=utf-8"
VTT = "text/vtt; charset=utf-8"
JSON = "application/json"

Task = Literal["transcribe", "translate"]


class GroqMark(TypedDict):
    """Of Groq's answers; its provider in the Vercel AI SDK takes none without it."""

    id: Annotated[str, about("Tells this answer from others.")]


class Transcription(TypedDict):
    """The answer for response_format=json."""

    text: Annotated[str, about("The whole transcript.")]
    usage: Annotated[
        TokenUsage | DurationUsage,
        about("In tokens for the gpt-* names, else in seconds.", discriminator="type"),
    ]
    logprobs: NotRequired[Annotated[list[TokenLogprob], about("Present when include[]=logprobs asked.")]]
    languages: Annotated[list[LanguageCode], about("The languages heard; none in silence.")]
    x_groq: NotRequired[Annotated[GroqMark, about("Present for Groq's names, such as whisper-large-v3.")]]


class TranscriptionSegment(TypedDict):
    """A stretch of speech, as the model cut it."""

    id: Annotated[Count, about("Counts from 0.")]
    seek: Annotated[Count, about("Where the decoded window began, in hundredths of a second.")]
    start: Start
    end: Start
    text: Annotated[str, about("With the leading space that the model gave it.")]
    tokens: Annotated[list[int], about("Ids in the model's vocabulary.")]
    temperature: Annotated[float, about("The temperature it was decoded with.", ge=0)]
    avg_logprob: Annotated[float, about("Mean log-probability of its tokens; below -1 is doubtful.")]
    compression_ratio: Annotated[float, about("Above 2.4 the text repeats itself.", ge=0)]
    no_speech_prob: Annotated[float, about("How probably there was no speech at all.", ge=0, le=1)]
    speaker: NotRequired[Annotated[str, about("Who speaks, where speakers are told apart.")]]


class VerboseTranscription(TypedDict):
    """The answer for response_format=verbose_json."""

    task: Annotated[Task, about("What was done.")]
    language: Annotated[str, about("Lower-case English name; `unknown` in silence.", examples=["english"])]
    duration: Annotated[Seconds, about("Seconds of audio, as decoded.")]
    text: Annotated[str, about("The whole transcript.")]
    segments: NotRequired[
        Annotated[list[TranscriptionSegment], about("Present unless only words were asked for.")]
    ]
    words: NotRequired[
        Annotated[list[Word], about("Present when timestamp_granularities[]=word asked for them.")]
    ]
    usage: DurationUsage
    x_groq: NotRequired[Annotated[GroqMark, about("Present for Groq's names, such as whisper-large-v3.")]]


class DiarizedTranscription(TypedDict):
    """The answer for response_format=diarized_json."""

    task: Literal["transcribe"]
    duration: Annotated[Seconds, about("Seconds of audio, as decoded.")]
    text: Annotated[str, about("The whole transcript.")]
    segments: Annotated[list[TextSegmentEvent], about("Who said what, one after the other.")]
    usage: Annotated[
        TokenUsage | DurationUsage,
        about("In tokens for the gpt-* names, else in seconds.", discriminator="type"),
    ]


class Model(TypedDict):
    """A name that can be asked for."""

    id: Annotated[str, about("The value for `model`.")]
    object: Literal["model"]
    created: Annotated[Count, about("Seconds since 1970; when this server started.")]
    owned_by: Annotated[
        Literal["local", "transcription-gateway"],
        about("`local` for the served models' own names, else an alias the gateway answers to."),
    ]


class ModelList(TypedDict):
    """All names that can be asked for, the models' own first."""

    object: Literal["list"]
    data: Annotated[list[Model], about("In the order of the server's settings, aliases last.")]


class WorkerHealth(TypedDict):
    """One worker process."""

    state: Annotated[
        str,
        about("`ready` and `busy` serve.", enum=["starting", "ready", "busy", "restarting", "failed"]),
    ]
    reason: Annotated[str | None, about("Why it is not serving, if that is known.")]


class ModelHealth(TypedDict):
    """One served model."""

    state: Annotated[
        str,
        about(
            "`unloaded` models are loaded when they are wanted.",
            enum=["unloaded", "fetching", "loading", "ready", "failed"],
        ),
    ]
    detail: Annotated[str | None, about("How far the download is, or why the model failed.")]
    workers: Annotated[list[WorkerHealth], about("Its worker processes; none while it is not loaded.")]


class HealthReport(TypedDict):
    """How the server and its parts are."""

    status: Annotated[
        Literal["ok", "starting", "unavailable"],
        about("`ok` once every pinned model can be served, `unavailable` where one has failed."),
    ]
    version: Annotated[str, about("The gateway's version.")]
    vad: Annotated[str, about("The Silero VAD file in use.")]
    speakers: Annotated[
        Literal["unused", "fetching", "ready", "failed"],
        about(
            "What tells speakers apart: nobody has asked for it yet, it is being fetched and loaded, it is "
            "there, or it could not be had, which is tried again when somebody asks."
        ),
    ]
    models: Annotated[dict[str, ModelHealth], about("Each served model by its name.")]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A body and its media type."""

    body: str
    media_type: str


def render(transcript: Transcript, request: TranscriptionRequest, task: Task = "transcribe") -> Rendered:
    """The answer in the format that was asked for."""
    match request.response_format:
        case "text":
            return Rendered(transcript.text, TEXT)
        case "srt":
            return Rendered(to_srt(make_cues(transcript.segments, request)), TEXT)
        case "vtt":
            return Rendered(to_vtt(make_cues(transcript.segments, request)), VTT)
        case "verbose_json":
            return Rendered(encode(verbose_transcription(transcript, request, task=task)), JSON)
        case "diarized_json":
            return Rendered(encode(_diarized(transcript, request)), JSON)
        case _:
            return Rendered(encode(_transcription(transcript, request)), JSON)


def _transcription(transcript: Transcript, request: TranscriptionRequest) -> Transcription:
    answer: Transcription = {
        "text": transcript.text,
        "usage": usage_for(request.model, transcript),
        "languages": language_codes(transcript),
    }
    if request.wants_logprobs and (shown := logprobs(transcript.tokens)) is not None:
        answer["logprobs"] = shown
    _mark(answer, request)
    return answer


def _diarized(transcript: Transcript, request: TranscriptionRequest) -> DiarizedTranscription:
    return {
        "task": "transcribe",
        "duration": round(transcript.duration, 3),
        "text": transcript.text,
        "segments": [diarized_segment(number, segment) for number, segment in enumerate(transcript.segments)],
        "usage": usage_for(request.model, transcript),
    }


def verbose_transcription(
    transcript: Transcript, request: TranscriptionRequest, *, task: Task = "transcribe"
) -> VerboseTranscription:
    """With words, segments or both; with segments where nobody asked."""
    answer: VerboseTranscription = {
        "task": task,
        "language": "english" if task == "translate" else language_name(transcript.language),
        "duration": round(transcript.duration, 3),
        "text": transcript.text,
        "segments": [_segment(number, segment) for number, segment in enumerate(transcript.segments)],
        "words": word_times(word for segment in transcript.segments for word in segment.words),
        "usage": duration_usage(transcript),
    }
    wanted = request.timestamp_granularities or ("segment",)
    if "segment" not in wanted:
        del answer["segments"]
    if "word" not in wanted:
        del answer["words"]
    _mark(answer, request)
    return answer


def _mark(answer: Transcription | VerboseTranscription, request: TranscriptionRequest) -> None:
    if contract(request.model).is_groq:
        answer["x_groq"] = {"id": f"req_{secrets.token_hex(13)}"}


def _segment(number: int, segment: Segment) -> TranscriptionSegment:
    """One segment; its text keeps its leading space, its times count from the recording's start."""
    answer: TranscriptionSegment = {
        "id": number,
        "seek": segment.seek,
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": segment.text,
        "tokens": [token.id for token in segment.tokens],
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
    }
    if segment.speaker is not None:
        answer["speaker"] = segment.speaker
    return answer


def model_object(name: str, *, own: bool, created: int) -> Model:
    """One model; aliases of OpenAI's names are owned by the gateway, which answers for them."""
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "local" if own else "transcription-gateway",
    }


def model_list(names: Iterable[str], *, own: Collection[str], created: int) -> ModelList:
    """All models in their order."""
    return {
        "object": "list",
        "data": [model_object(name, own=name in own, created=created) for name in names],
    }
