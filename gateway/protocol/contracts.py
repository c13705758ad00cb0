"""What clients expect of a model by the name they ask for: one table, one lookup."""

from dataclasses import dataclass, replace

_PROVIDER = "openai/"
"""What clients of some gateways put before a name."""

DIARIZES = "-diarize"
"""How the names of models end that tell speakers apart: the model before it does, and is asked to."""

LIMITED_PARAMETERS = ("include", "timestamp_granularities", "keywords", "languages")
"""What some of OpenAI's models refuse, in the order in which it is checked."""


@dataclass(frozen=True, slots=True)
class Contract:
    """What OpenAI's model of a name does, and so what its clients rely on.

    Attributes:
        formats: Its response formats; here every model has all of them, unless `strict_openai` is set.
        takes: Of the parameters that only some of OpenAI's models take, those that it does.
        streams: It streams; else the wish is ignored under `strict_openai`.
        bills_tokens: `usage` counts tokens, not the recording's seconds.
        continuous: Its live sessions transcribe all along, without turns: deltas come before a commit.
        diarizes: It tells speakers apart.
        is_openai: The name is OpenAI's, so that clients expect its answer and no more.
        is_groq: The name is Groq's, whose clients want its mark in the answer.
        prefixed: The name has its provider before it, as with gateways whose `usage` counts both ways.
    """

    formats: tuple[str, ...] = ("json", "text", "srt", "verbose_json", "vtt")
    takes: frozenset[str] = frozenset({"timestamp_granularities"})
    streams: bool = True
    bills_tokens: bool = False
    continuous: bool = False
    diarizes: bool = False
    is_openai: bool = True
    is_groq: bool = False
    prefixed: bool = False


_GROQ = ("whisper-large-v3", "whisper-large-v3-turbo", "distil-whisper-large-v3-en")

_GPT = Contract(formats=("json", "text"), takes=frozenset(), bills_tokens=True)
_GPT_4O = replace(_GPT, takes=frozenset({"include"}))
_LIVE = replace(_GPT, continuous=True)

_CONTRACTS = {
    "whisper-1": Contract(streams=False),
    "gpt-transcribe": replace(_GPT, takes=frozenset({"keywords", "languages"})),
    "gpt-4o-transcribe": _GPT_4O,
    "gpt-4o-mini-transcribe": _GPT_4O,
    "gpt-4o-mini-transcribe-2025-12-15": _GPT_4O,
    "gpt-4o-transcribe-diarize": replace(_GPT, formats=("json", "text", "diarized_json"), diarizes=True),
    "gpt-live-transcribe": _LIVE,
    "gpt-realtime-whisper": _LIVE,
}

ALIASES = (
    *_CONTRACTS,
    *(f"{_PROVIDER}{name}" for name in _CONTRACTS),
    "whisper-large-v3",
    f"{_PROVIDER}whisper-large-v3",
)
"""Names that clients of other providers have in their code; here they all mean the first served model."""


def contract(model: str) -> Contract:
    """What a client that asks for ``model`` expects; of a name that nobody knows what its family has."""
    name = model.removeprefix(_PROVIDER)
    known = _CONTRACTS.get(name)
    if known is None:
        family = _GPT_4O if name.startswith("gpt-4o-") else _GPT if name.startswith("gpt-") else Contract()
        known = replace(family, is_openai=False, is_groq=name in _GROQ, diarizes=name.endswith(DIARIZES))
    return known if name == model else replace(known, prefixed=True)
