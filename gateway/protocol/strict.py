"""OpenAI's own limits, which this gateway lacks, for those who test against them (`strict_openai`)."""

from collections.abc import Collection

from gateway.errors import InvalidRequestError, UnsupportedValueError
from gateway.protocol.names import is_diarizing
from gateway.protocol.request import TranscriptionRequest

TRANSLATION_FIELDS = frozenset({"model", "prompt", "response_format", "temperature"})
TRANSCRIPTION_FIELDS = TRANSLATION_FIELDS | {
    "chunking_strategy",
    "include",
    "keywords",
    "known_speaker_names",
    "known_speaker_references",
    "language",
    "languages",
    "stream",
    "timestamp_granularities",
}
"""The fields of OpenAI's published document."""

_WHISPER_FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
_GPT_FORMATS = ("json", "text")
_DIARIZING_FORMATS = ("json", "text", "diarized_json")


def refuse_unknown(form: Collection[str], known: Collection[str]) -> None:
    """Refuses fields that OpenAI does not know.

    Raises:
        InvalidRequestError: Names the first one.
    """
    for name in form:
        if name not in known:
            raise InvalidRequestError(f"Unrecognized request argument supplied: {name}", param=name)


def check_strictly(request: TranscriptionRequest) -> None:
    """Refuses what OpenAI refuses of this model.

    Raises:
        InvalidRequestError: Beyond OpenAI's range.
        UnsupportedValueError: OpenAI's model of this name cannot do it.
    """
    model = request.model.removeprefix("openai/")
    if request.temperature > 1:
        raise InvalidRequestError("Invalid value for 'temperature': It is at most 1.", param="temperature")
    formats = _formats(model)
    if request.response_format not in formats:
        raise UnsupportedValueError(
            f"response_format '{request.response_format}' is not compatible with model '{request.model}'. "
            f"Use {' or '.join(repr(name) for name in formats)} instead.",
            param="response_format",
        )
    is_whisper = not model.startswith("gpt-")
    only = {
        "include": (request.include, model.startswith("gpt-4o-") and not is_diarizing(model)),
        "timestamp_granularities": (request.timestamp_granularities, is_whisper),
        "keywords": (request.keywords, model == "gpt-transcribe"),
        "languages": (request.languages, model == "gpt-transcribe"),
    }
    for param, (value, is_supported) in only.items():
        if value and not is_supported:
            raise UnsupportedValueError(
                f"'{param}' is not supported with the model '{request.model}'.", param=param
            )


def streams(model: str) -> bool:
    """Whether OpenAI's model of this name streams; `whisper-1` ignores the wish."""
    return model.removeprefix("openai/") != "whisper-1"


def _formats(model: str) -> tuple[str, ...]:
    if is_diarizing(model):
        return _DIARIZING_FORMATS
    return _GPT_FORMATS if model.startswith("gpt-") else _WHISPER_FORMATS
