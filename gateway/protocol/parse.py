"""From form fields to a checked request: every refusal names its parameter."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.errors import InvalidRequestError
from gateway.protocol.combinations import check_combinations
from gateway.protocol.contracts import (
    TRANSCRIPTION_FIELDS,
    TRANSLATION_FIELDS,
    check_strictly,
    refuse_unknown,
)
from gateway.protocol.form import decode_form
from gateway.protocol.request import TranscriptionRequest, TranslationRequest


def parse_transcription(fields: Iterable[tuple[str, str]], *, strict: bool = False) -> TranscriptionRequest:
    """Reads and checks the text fields of a transcription's form.

    Args:
        strict: Refuse what OpenAI refuses, too.

    Raises:
        InvalidRequestError: Names the first parameter that is missing, malformed or in contradiction.
    """
    form = decode_form(fields)
    if strict:
        refuse_unknown(form, TRANSCRIPTION_FIELDS)
    request = _validate(form)
    check_combinations(request)
    if strict:
        check_strictly(request)
    return request


def parse_translation(fields: Iterable[tuple[str, str]], *, strict: bool = False) -> TranscriptionRequest:
    """Reads and checks the text fields of a translation's form; as `parse_transcription`."""
    form = decode_form(fields)
    if strict:
        refuse_unknown(form, TRANSLATION_FIELDS)
    request = _validate(
        {name: value for name, value in form.items() if name in TranslationRequest.model_fields}
    )
    check_combinations(request)
    return request


def _validate(form: Mapping[str, Any]) -> TranscriptionRequest:
    try:
        return TranscriptionRequest.model_validate(form)
    except ValidationError as error:
        raise explain(error.errors(include_url=False), form) from None


def explain(errors: Sequence[ErrorDetails], form: Mapping[str, Any]) -> InvalidRequestError:
    """Validation errors in OpenAI's words: what is wrong, with which parameter, and what would be right."""
    name = str(errors[0]["loc"][0])
    if name == "chunking_strategy" and not isinstance(form.get(name), dict):
        return _invalid(name, "It is 'auto' or an object with type 'server_vad'")
    # An object fails as the word 'auto' too: that variant of the union is not what the client meant.
    error = next((error for error in errors if "ServerVad" in error["loc"]), errors[0])
    param = ".".join(part for part in error["loc"] if isinstance(part, str) and part != "ServerVad")
    if error["type"] == "missing":
        return InvalidRequestError(
            f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
        )
    return _invalid(param, error["msg"])


def _invalid(param: str, reason: str) -> InvalidRequestError:
    return InvalidRequestError(f"Invalid value for '{param}': {reason}.", param=param, code="invalid_value")
