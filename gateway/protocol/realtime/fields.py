"""How a `session` object is written: today's fields, the beta's flat ones in their place, and no others."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, TypeVar

from gateway.errors import GatewayError, InvalidRequestError
from gateway.protocol.parse import as_object, invalid_value

INPUT = "session.audio.input"

Known: TypeAlias = Mapping[str, "Known | None"]
"""Names and what is known within; None: whatever is."""

ErrorT = TypeVar("ErrorT", bound=GatewayError)

LegacyFormat = Literal["pcm16", "g711_ulaw", "g711_alaw"]

LEGACY_FORMATS: Mapping[str, LegacyFormat] = {
    "audio/pcm": "pcm16",
    "audio/pcmu": "g711_ulaw",
    "audio/pcma": "g711_alaw",
}

LEGACY_NAMES: Mapping[str, str] = {
    "input_audio_format": "format",
    "input_audio_transcription": "transcription",
    "input_audio_noise_reduction": "noise_reduction",
    "turn_detection": "turn_detection",
}
"""The beta's name for each part of `session.audio.input`."""

MEANINGLESS = frozenset({
    # What a session's own object has, which some clients send back.
    "id", "object", "expires_at", "client_secret",
    # Of conversations: nothing answers here.
    "instructions", "max_output_tokens", "max_response_output_tokens", "modalities", "model",
    "output_audio_format", "output_modalities", "parallel_tool_calls", "prompt", "reasoning", "speed",
    "temperature", "tool_choice", "tools", "tracing", "truncation", "voice",
})  # fmt: skip
"""Fields that OpenAI's session types have and transcription does not need."""


def refuse_unknown(given: object, known: Known, param: str = "") -> None:
    """Returns where every field, at any depth, is known. A typo that is ignored may cost a whole call.

    Raises:
        InvalidRequestError: Names the first one that is not, under ``param``.
    """
    if not isinstance(given, Mapping):
        return  # whoever reads it says what it should be
    for name, value in given.items():
        if name not in known:
            path = f"{param}.{name[:64]}".removeprefix(".")
            raise InvalidRequestError(f"Unknown parameter: '{path}'.", param=path, code="unknown_parameter")
        within = known[name]
        if within is not None:
            refuse_unknown(value, within, f"{param}.{name}".removeprefix("."))


def todays_input(session: Mapping[str, Any]) -> dict[str, Any]:
    """What a session's object says of its input, in today's names, which go before the beta's.

    Raises:
        InvalidRequestError: It is no object, or the format is none of the beta's.
    """
    flat = {new: session[old] for old, new in LEGACY_NAMES.items() if old in session}
    if (name := flat.pop("format", None)) is not None:
        kinds = [kind for kind, legacy in LEGACY_FORMATS.items() if legacy == name]
        if not kinds:
            raise invalid_value(f"{INPUT}.format", "It is 'pcm16', 'g711_ulaw' or 'g711_alaw'")
        flat["format"] = {"type": kinds[0]}
    audio = as_object(session.get("audio"), "session.audio")
    return {**flat, **as_object(audio.get("input"), INPUT)}


def as_given(error: ErrorT, session: Mapping[str, Any]) -> ErrorT:
    """The error with the parameter's path as the client wrote it: flat, where it is."""
    param = error.param or ""
    for flat, name in LEGACY_NAMES.items():
        todays = f"{INPUT}.{name}"
        if flat in session and (param == todays or param.startswith(f"{todays}.")):
            return error.under(f"session.{flat}{param.removeprefix(todays)}", in_message=True)
    return error
