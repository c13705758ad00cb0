"""The shapes of all answers, for the OpenAPI document alone: a test holds real answers against them.

A field with a default of null is left out rather than sent as null; `openapi.py` publishes it so.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


class TokenLogprob(BaseModel):
    """A token of the text and what the model thought of it."""

    token: str = Field(
        description="The token's text. Where a character is split over tokens, only `bytes` are exact."
    )
    logprob: float = Field(le=0, description="Natural logarithm of the token's probability.")
    bytes: list[Annotated[int, Field(ge=0, le=255)]] = Field(description="The token's UTF-8 bytes.")


class LanguageCode(BaseModel):
    """A language that was heard."""

    code: str = Field(description="ISO 639-1, where the language has such a code.", examples=["en"])


class TokenDetails(BaseModel):
    """What the input tokens were."""

    audio_tokens: Count = Field(description="Ten for each second of audio, rounded up.")
    text_tokens: Count = Field(description="Tokens of the prompt.")


class TokenUsage(BaseModel):
    """Usage in tokens: in event streams, and in plain answers of the gpt-* names."""

    type: Literal["tokens"]
    input_tokens: Count = Field(description="Audio and prompt together.")
    output_tokens: Count = Field(description="Tokens of the transcript.")
    total_tokens: Count = Field(description="Input and output together.")
    input_token_details: TokenDetails
    seconds: Count | None = Field(None, description="Only for names with a prefix, as in `openai/whisper-1`.")


class DurationUsage(BaseModel):
    """Usage in seconds: of all other names, and in verbose_json."""

    type: Literal["duration"]
    seconds: Count = Field(description="The recording's length, rounded up.")
    input_tokens: Count | None = Field(
        None, description="Only for names with a prefix, as in `openai/whisper-1`; so are the next two."
    )
    output_tokens: Count | None = Field(None, description="Tokens of the transcript.")
    total_tokens: Count | None = Field(None, description="Input and output together.")


class Transcription(BaseModel):
    """The answer for response_format=json."""

    text: str = Field(description="The whole transcript.")
    usage: TokenUsage | DurationUsage = Field(
        discriminator="type", description="In tokens for the gpt-* names, else in seconds."
    )
    logprobs: list[TokenLogprob] | None = Field(None, description="Present when include[]=logprobs asked.")
    languages: list[LanguageCode] = Field(description="The languages heard; none in silence.")


class Word(BaseModel):
    """A word and its times."""

    word: str = Field(description="Without the punctuation at its ends.")
    start: Seconds = Field(description="Seconds from the recording's start.")
    end: Seconds = Field(description="Seconds from the recording's start.")


class TranscriptionSegment(BaseModel):
    """A stretch of speech, as the model cut it."""

    id: Count = Field(description="Counts from 0.")
    seek: Count = Field(description="Where the decoded window began, in hundredths of a second.")
    start: Seconds = Field(description="Seconds from the recording's start.")
    end: Seconds = Field(description="Seconds from the recording's start.")
    text: str = Field(description="With the leading space that the model gave it.")
    tokens: list[int] = Field(description="Ids in the model's vocabulary.")
    temperature: float = Field(ge=0, description="The temperature it was decoded with, after fallbacks.")
    avg_logprob: float = Field(description="Mean log-probability of its tokens; below -1 is doubtful.")
    compression_ratio: float = Field(ge=0, description="Above 2.4 the text repeats itself.")
    no_speech_prob: float = Field(ge=0, le=1, description="How probably there was no speech at all.")


class VerboseTranscription(BaseModel):
    """The answer for response_format=verbose_json."""

    task: Literal["transcribe", "translate"] = Field(description="What was done.")
    language: str = Field(description="Lower-case English name; `unknown` in silence.", examples=["english"])
    duration: Seconds = Field(description="Seconds of audio, as decoded.")
    text: str = Field(description="The whole transcript.")
    segments: list[TranscriptionSegment] | None = Field(
        None, description="Present unless only words were asked for."
    )
    words: list[Word] | None = Field(
        None, description="Present when timestamp_granularities[]=word asked for them."
    )
    usage: DurationUsage


class TextDeltaEvent(BaseModel):
    """The next piece of text. It is never taken back: the deltas joined are the text."""

    type: Literal["transcript.text.delta"]
    delta: str = Field(description="What to append.")
    logprobs: list[TokenLogprob] | None = Field(
        description="The delta's tokens when include[]=logprobs asked for them, and always for names that "
        "are none of OpenAI's; else null."
    )


class TextSegmentEvent(BaseModel):
    """A closed segment with its times, when response_format=verbose_json is streamed."""

    type: Literal["transcript.text.segment"]
    id: str = Field(examples=["seg_000"], description="Counts from seg_000.")
    start: Seconds = Field(description="Seconds from the recording's start.")
    end: Seconds = Field(description="Seconds from the recording's start.")
    speaker: str = Field(description="Empty where speakers are not told apart.")
    text: str = Field(description="The segment's text.")
    words: list[Word] | None = Field(
        None, description="Present when timestamp_granularities[]=word asked for them."
    )


class TextDoneEvent(BaseModel):
    """The whole text once more, at the end."""

    type: Literal["transcript.text.done"]
    text: str = Field(description="All deltas joined.")
    logprobs: list[TokenLogprob] | None = Field(None, description="All tokens, under the deltas' conditions.")
    usage: TokenUsage
    languages: list[LanguageCode] = Field(description="The languages heard; none in silence.")


class Error(BaseModel):
    """What went wrong."""

    message: str = Field(description="One or two sentences for a person.")
    type: Literal["invalid_request_error", "server_error"] = Field(description="Whose mistake it is.")
    param: str | None = Field(description="The parameter at fault, if one is.")
    code: str | None = Field(description="A word for programs, if there is one.", examples=["invalid_value"])


class ErrorEnvelope(BaseModel):
    """Every refusal, as a body or as the last data line of an event stream."""

    error: Error


class Model(BaseModel):
    """A name that can be asked for."""

    id: str = Field(description="The value for `model`.")
    object: Literal["model"]
    created: Count = Field(description="Seconds since 1970; when this server started.")
    owned_by: Literal["local", "transcription-gateway"] = Field(
        description="`local` for the served models' own names, else an alias the gateway answers to."
    )


class ModelList(BaseModel):
    """All names that can be asked for, the models' own first."""

    object: Literal["list"]
    data: list[Model] = Field(description="In the order of the server's settings, aliases last.")


class WorkerHealth(BaseModel):
    """One worker process."""

    state: Literal["starting", "ready", "busy", "restarting", "failed"] = Field(
        description="`ready` and `busy` serve."
    )
    reason: str | None = Field(description="Why it is not serving, if that is known.")


class ModelHealth(BaseModel):
    """One served model."""

    state: Literal["unloaded", "fetching", "loading", "ready", "failed"] = Field(
        description="`unloaded` models are loaded when they are wanted."
    )
    detail: str | None = Field(description="How far the download is, or why the model failed.")
    workers: list[WorkerHealth] = Field(description="Its worker processes; none while it is not loaded.")


class HealthReport(BaseModel):
    """How the server and its parts are."""

    status: Literal["ok", "starting", "unavailable"] = Field(
        description="`ok` once every pinned model can be served, `unavailable` where one has failed."
    )
    version: str = Field(description="The gateway's version.")
    vad: str = Field(description="The Silero VAD file in use.")
    models: dict[str, ModelHealth] = Field(description="Each served model by its name.")
