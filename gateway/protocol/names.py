"""The model names of OpenAI's clients, and what their choice says about the answer's shape."""

OPENAI_MODELS = (
    "whisper-1",
    "gpt-transcribe",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-mini-transcribe-2025-12-15",
    "gpt-4o-transcribe-diarize",
    "gpt-live-transcribe",
    "gpt-realtime-whisper",
)

ALIASES = (
    *OPENAI_MODELS,
    *(f"openai/{name}" for name in OPENAI_MODELS),
    "whisper-large-v3",
    "openai/whisper-large-v3",
)
"""Names that clients of other providers have in their code; here they all mean the first served model."""


def is_openai(model: str) -> bool:
    """Whether the client knows this model from OpenAI, and so expects OpenAI's answer and no more."""
    return model.removeprefix("openai/") in OPENAI_MODELS


def is_diarizing(model: str) -> bool:
    """Whether the client expects speakers told apart."""
    return model.removeprefix("openai/") == "gpt-4o-transcribe-diarize"


def is_prefixed(model: str) -> bool:
    """Whether the name has its provider before it, as with a gateway whose `usage` counts both ways."""
    return model.startswith("openai/")


def bills_tokens(model: str) -> bool:
    """Whether `usage` counts tokens, as for the gpt-* names, or the recording's seconds."""
    return model.removeprefix("openai/").startswith("gpt-")


def is_continuous(model: str) -> bool:
    """Whether a live session transcribes all along, without turns: deltas flow before the client commits."""
    return model.removeprefix("openai/") in {"gpt-live-transcribe", "gpt-realtime-whisper"}
