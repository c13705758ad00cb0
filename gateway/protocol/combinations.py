"""Which parameters go together: what contradicts itself is refused with the parameter to change."""

from gateway.errors import InvalidRequestError, UnsupportedValueError
from gateway.protocol.contracts import contract
from gateway.protocol.request import TranscriptionRequest

MAX_KNOWN_SPEAKERS = 4


def check_combinations(request: TranscriptionRequest) -> None:
    """Refuses what contradicts itself, whatever the model.

    Raises:
        InvalidRequestError: The combination has no meaning.
        UnsupportedValueError: It has one, but not here or not yet.
    """
    if "word" in request.timestamp_granularities and request.response_format != "verbose_json":
        raise InvalidRequestError(
            "timestamp_granularities[]=word needs response_format=verbose_json.",
            param="timestamp_granularities",
        )
    if request.include and request.response_format != "json":
        raise InvalidRequestError("include[]=logprobs needs response_format=json.", param="include")
    if request.stream and request.response_format in {"srt", "vtt"}:
        raise InvalidRequestError(
            f"stream=true does not go with response_format={request.response_format}: "
            "subtitles are a file, not events.",
            param="response_format",
        )
    if contract(request.model).diarizes:
        _check_diarizing(request)
    _check_speakers(request)
    if request.response_format == "diarized_json":
        raise UnsupportedValueError(
            "response_format 'diarized_json' is not available here yet. Supported values are: "
            "'json', 'text', 'srt', 'verbose_json' and 'vtt'.",
            param="response_format",
        )


def _check_diarizing(request: TranscriptionRequest) -> None:
    unsupported = {
        "prompt": request.prompt,
        "include": request.include,
        "timestamp_granularities": request.timestamp_granularities,
    }
    for param, value in unsupported.items():
        if value:
            raise UnsupportedValueError(
                f"'{param}' is not supported with the model '{request.model}'.", param=param
            )


def _check_speakers(request: TranscriptionRequest) -> None:
    names, references = request.known_speaker_names, request.known_speaker_references
    if len(names) > MAX_KNOWN_SPEAKERS:
        raise InvalidRequestError(
            f"At most {MAX_KNOWN_SPEAKERS} known speakers are supported.", param="known_speaker_names"
        )
    if len(names) != len(references):
        raise InvalidRequestError(
            f"There are {len(names)} known_speaker_names and {len(references)} known_speaker_references; "
            "each name needs its reference.",
            param="known_speaker_references",
        )
    if any(not reference.startswith("data:") for reference in references):
        raise InvalidRequestError(
            "Each of known_speaker_references must be a data URL.", param="known_speaker_references"
        )
    if names:
        raise UnsupportedValueError("Known speakers are not available here yet.", param="known_speaker_names")
