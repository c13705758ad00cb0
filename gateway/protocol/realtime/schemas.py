"""The shapes of what asks for ephemeral keys and of the answers, for the OpenAPI document alone.

`config` and `client_secrets` read and write them; tests hold real answers against these. Where null has a
meaning of its own a factory makes it: a plain default of null is published as "may be missing".
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from gateway.protocol.realtime.config import LOGPROBS

_INCLUDE = f"`{LOGPROBS}` adds log-probabilities to deltas and completed transcripts."

Include = Literal["item.input_audio_transcription.logprobs"]


def _none() -> None:
    return None


class RealtimeAudioFormat(BaseModel):
    """What the appended bytes are: 16-bit little-endian PCM or G.711, mono."""

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = Field(
        "audio/pcm", description="Or one of G.711's."
    )
    rate: int = Field(
        24_000, ge=8_000, le=48_000, description="Samples per second of PCM; G.711 has 8000, and says none."
    )


class RealtimeTranscription(BaseModel):
    """How speech is transcribed."""

    model: str = Field(description="Any name of the list of models.", examples=["gpt-4o-transcribe"])
    language: str | None = Field(default_factory=_none, description="ISO 639-1; null: it is detected.")
    prompt: str | None = Field(default_factory=_none, description="Text for style and spelling.")
    languages: list[str] | None = Field(None, description="Languages to choose from, instead of `language`.")
    keywords: list[str] | None = Field(None, description="Words and names to expect.")
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = Field(
        None, description="How long to wait for more audio before text is sent."
    )


class RealtimeNoiseReduction(BaseModel):
    """Filters the audio before anything else hears it."""

    type: Literal["near_field", "far_field"] = Field(description="A headset, or a microphone in the room.")
    strength: float = Field(1.0, ge=0, le=1, description="0 changes nothing.")


class RealtimeServerVad(BaseModel):
    """Turns end with silence."""

    type: Literal["server_vad"]
    threshold: float = Field(0.5, ge=0, le=1, description="Probability from which a sound is speech.")
    prefix_padding_ms: int = Field(300, ge=0, le=5_000, description="Audio kept before the speech.")
    silence_duration_ms: int = Field(500, ge=0, le=10_000, description="Silence that ends a turn.")
    idle_timeout_ms: Annotated[int, Field(ge=5_000, le=30_000)] | None = Field(
        None, description="Silence that becomes a turn of its own; unset: none does."
    )


class RealtimeSemanticVad(BaseModel):
    """Turns end where the sentence does, or after a longer silence."""

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = Field(
        "auto", description="Waits at most 8, 4 or 2 seconds; auto is medium."
    )


TurnDetection = RealtimeServerVad | RealtimeSemanticVad

_TURNS = "null: the client commits. Models that transcribe all along have no other."


class RealtimeInput(BaseModel):
    """What comes in."""

    format: RealtimeAudioFormat = Field(RealtimeAudioFormat(), description="Of the appended audio.")
    transcription: RealtimeTranscription | None = Field(
        default_factory=_none, description="null: speech is told apart, but not transcribed."
    )
    noise_reduction: RealtimeNoiseReduction | None = Field(default_factory=_none, description="null: none.")
    turn_detection: TurnDetection | None = Field(default_factory=_none, description=_TURNS)


class RealtimeAudio(BaseModel):
    """A session's audio."""

    input: RealtimeInput = Field(RealtimeInput(), description="What the client sends.")


class RealtimeSettings(BaseModel):
    """A transcription session's settings; what is not said is as in a session of the first model."""

    type: Literal["transcription"] = Field("transcription", description="There are no conversations.")
    audio: RealtimeAudio = Field(RealtimeAudio(), description="What the client sends, and how it is heard.")
    include: list[Include] = Field([], description=_INCLUDE)


class RealtimeExpiry(BaseModel):
    """When a key ends."""

    anchor: Literal["created_at"] = Field("created_at", description="Counted from now.")
    seconds: int = Field(600, ge=10, le=7_200, description="For so long; it opens any number of sessions.")


class ClientSecretRequest(BaseModel):
    """What a key is wanted for."""

    expires_after: RealtimeExpiry = Field(RealtimeExpiry(), description="When it ends.")
    session: RealtimeSettings = Field(RealtimeSettings(), description="What its sessions begin with.")


class RealtimeSession(BaseModel):
    """A session as it will begin."""

    id: str = Field(examples=["sess_0123456789abcdef01234567"], description="Names these settings.")
    object: Literal["realtime.transcription_session"]
    type: Literal["transcription"]
    audio: RealtimeAudio = Field(description="What the client sends, and how it is heard.")
    include: list[Include] = Field(description=_INCLUDE)


class ClientSecret(BaseModel):
    """An ephemeral key. It opens live sessions and nothing else."""

    value: str = Field(examples=["ek_…"], description="In place of an API key, on any replica.")
    expires_at: int = Field(description="Seconds since 1970.")
    session: RealtimeSession


class TranscriptionSessionRequest(BaseModel):
    """What a key is wanted for, in the flat fields of older clients; today's are read, too."""

    input_audio_format: Literal["pcm16", "g711_ulaw", "g711_alaw"] = Field(
        "pcm16", description="Of the appended audio."
    )
    input_audio_transcription: RealtimeTranscription | None = Field(
        default_factory=_none, description="null: speech is told apart, but not transcribed."
    )
    input_audio_noise_reduction: RealtimeNoiseReduction | None = Field(
        default_factory=_none, description="null: none."
    )
    turn_detection: TurnDetection | None = Field(default_factory=_none, description=_TURNS)
    include: list[Include] = Field([], description=_INCLUDE)
    expires_after: RealtimeExpiry = Field(RealtimeExpiry(), description="When it ends.")


class SessionSecret(BaseModel):
    """The key of an older client's session."""

    value: str = Field(examples=["ek_…"], description="In place of an API key, on any replica.")
    expires_at: int = Field(description="Seconds since 1970.")


class TranscriptionSession(BaseModel):
    """A session as it will begin, in flat fields."""

    id: str = Field(examples=["sess_0123456789abcdef01234567"], description="Names these settings.")
    object: Literal["realtime.transcription_session"]
    input_audio_format: Literal["pcm16", "g711_ulaw", "g711_alaw"] = Field(description="Of the audio.")
    input_audio_transcription: RealtimeTranscription | None = Field(description="null: none is made.")
    input_audio_noise_reduction: RealtimeNoiseReduction | None = Field(description="null: none.")
    turn_detection: TurnDetection | None = Field(description=_TURNS)
    include: list[Include] | None = Field(None, description=_INCLUDE)
    client_secret: SessionSecret
