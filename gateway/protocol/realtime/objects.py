"""JSON objects as strangers send them: read, opened and validated; every refusal names its parameter."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.errors import InvalidRequestError
from gateway.protocol.parse import explain

ModelT = TypeVar("ModelT", bound=BaseModel)


def read_object(data: str | bytes) -> dict[str, Any]:
    """The object that ``data`` is, bytes as UTF-8.

    Raises:
        InvalidRequestError: It is no JSON of whole characters, or no object.
    """
    try:
        text = data if isinstance(data, str) else data.decode()
        value = _DECODER.decode(text)
        # An escape can also be half a surrogate pair, which no answer could repeat. Base64 has no escapes, so
        # that long appends are not written twice.
        if "\\u" in text or not text.isascii():
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise InvalidRequestError(
            "This is not valid JSON. Audio goes base64-encoded into 'input_audio_buffer.append'.",
            code="invalid_json",
        ) from None
    if not isinstance(value, dict):
        raise InvalidRequestError("A JSON object is expected.", code="invalid_json")
    return value


def _refuse_constant(name: str) -> NoReturn:
    """Python alone reads NaN and Infinity; JSON has neither."""
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
"""Made once: `json.loads` makes one for each call with options, and a microphone makes ten calls a second."""


def as_object(value: object, param: str) -> Mapping[str, Any]:
    """``value``, where it is an object; null is an empty one.

    Raises:
        InvalidRequestError: It is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise invalid_value(param, "It is an object")
    return value


def check_length(value: object, most: int, param: str) -> None:
    """Returns where ``value`` is no list of more items than ``most``.

    Raises:
        InvalidRequestError: It is. Pydantic would look at each of them first, and tell of all that are wrong.
    """
    if isinstance(value, list) and len(value) > most:
        raise InvalidRequestError(
            f"Invalid value for '{param}': It has at most {most} items.",
            param=param,
            code="array_above_max_length",
        )


def validated(kind: type[ModelT], fields: Mapping[str, Any], param: str) -> ModelT:
    """``fields`` as an instance of ``kind``; a null is as good as no field.

    Raises:
        InvalidRequestError: Names the first wrong field, under ``param``.
    """
    try:
        return kind.model_validate({name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        path = param.split(".")
        errors = error.errors(include_url=False, include_input=False, include_context=False)
        for each in errors:
            each["loc"] = (*path, *each["loc"])
        raise explain(errors, fields) from None


def invalid_value(param: str, reason: str) -> InvalidRequestError:
    """A refusal in the words of all others."""
    return InvalidRequestError(f"Invalid value for '{param}': {reason}.", param=param, code="invalid_value")
