"""How a partial `session` object of the wire changes the parts of a session's settings.

In each of these an absent field is unchanged, and `param` is the part's name on the wire, for errors.
"""

from typing import Any

from pydantic import BaseModel

from gateway.errors import InvalidRequestError
from gateway.protocol.parse import as_object, check_length, invalid_value, missing, validated
from gateway.protocol.realtime.parts import (
    AudioFormat,
    NoiseReduction,
    SemanticVad,
    ServerVad,
    Transcription,
    TurnDetection,
)
from gateway.protocol.request import TranscriptionRequest, check_combinations

MAX_ITEMS = 1_000
"""Of a list, before anything else is looked at; the fields' own limits are lower."""

_OF_THE_FORM = ("model", "language", "languages", "prompt", "keywords")
"""What a session's transcription shares with the form of an upload; the same rules hold."""


def merge_format(current: AudioFormat, given: object, param: str) -> AudioFormat:
    """The audio's format."""
    fields = as_object(given, param)
    is_same = fields.get("type") in (None, current.type) and given is not None
    return validated(AudioFormat, {**(_fields(current) if is_same else {}), **fields}, param)


def merge_transcription(current: Transcription | None, given: object, param: str) -> Transcription | None:
    """How speech is transcribed; null ends it."""
    if given is None:
        return None
    fields = {**_fields(current), **as_object(given, param)}
    for name in ("languages", "keywords"):
        check_length(fields.get(name), MAX_ITEMS, f"{param}.{name}")
    # One of the two replaces the other, else a language of before would outrank the languages of now.
    for name, other in {"language": "languages", "languages": "language"}.items():
        if fields.get(name) and name in as_object(given, param) and other not in as_object(given, param):
            fields.pop(other, None)
    form = {name: fields[name] for name in _OF_THE_FORM if name in fields}
    checked = validated(TranscriptionRequest, form, param)
    try:
        check_combinations(checked)
    except InvalidRequestError as error:
        raise error.under(f"{param}.{error.param}") from None
    fields |= {name: getattr(checked, name) for name in _OF_THE_FORM}
    return validated(Transcription, fields, param)


def merge_noise_reduction(current: NoiseReduction | None, given: object, param: str) -> NoiseReduction | None:
    """The noise reduction; null ends it."""
    if given is None:
        return None
    # Of another type, too: "omitting strength from a session update preserves the current strength".
    return validated(NoiseReduction, {**_fields(current), **as_object(given, param)}, param)


def merge_turn_detection(current: TurnDetection | None, given: object, param: str) -> TurnDetection | None:
    """How turns end; null leaves it to the client."""
    if given is None:
        return None
    fields = as_object(given, param)
    kind = fields.get("type")
    if kind is None and current is not None:
        kind = current.type
    before = _fields(current) if current and current.type == kind else {}
    match kind:
        case "server_vad":
            return validated(ServerVad, {**before, **fields, "type": kind}, param)
        case "semantic_vad":
            return validated(SemanticVad, {**before, **fields, "type": kind}, param)
        case None:
            raise missing(f"{param}.type")
        case _:
            raise invalid_value(f"{param}.type", "It is 'server_vad' or 'semantic_vad'")


def _fields(part: BaseModel | None) -> dict[str, Any]:
    return {} if part is None else part.model_dump()
