"""What strangers send, read and checked: forms, and JSON objects; every refusal names its parameter.

Clients encode the same form in many ways. `openai` for Python sends ``include[]=logprobs`` and
``chunking_strategy[type]=server_vad``; curl users send ``include=logprobs`` and
``chunking_strategy={"type": "server_vad"}``; others ``include[0]``, a JSON list, or words between commas.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.errors import InvalidRequestError, UnsupportedValueError
from gateway.protocol.request import (
    TRANSCRIPTION_FIELDS,
    TRANSLATION_FIELDS,
    UNSET,
    TranscriptionRequest,
    TranslationRequest,
    check_combinations,
    check_strictly,
    refuse_unknown,
)

LIST_FIELDS = frozenset(
    name for name, field in TranscriptionRequest.model_fields.items() if field.default == ()
)

_WORDS = frozenset({"include", "timestamp_granularities", "languages"})
"""Lists of words without a comma in them, so that a comma parts them."""

_BY_PLACE = frozenset({"known_speaker_names", "known_speaker_references"})
"""Lists whose items belong to what has their place elsewhere: an empty one keeps its own."""

_KEY = re.compile(r"(?P<name>[^\[\]]+)(?:\[(?P<inner>[^\[\]]*)\])?")

_NESTED = re.compile(r"[^\[\]]*(?:\[[^\[\]]*\])*")
"""Any name whose brackets match."""

_EXTRA = re.compile(r"extra_body\[(?P<name>[^\[\]]+)\](?P<rest>.*)", re.DOTALL)
"""Python's SDK merges what this name holds into the form. Node's sends it as it is, though OpenAI documents
it for both."""

FIELDS = ("file", *TranscriptionRequest.model_fields)
"""Every field of a form that means something."""

_WORD = re.compile(r"[A-Za-z_]{1,64}")

_SIMILAR = 0.8
"""From here on a name is taken for a slip: a letter in five."""

ModelT = TypeVar("ModelT", bound=BaseModel)


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
    request = _request(form)
    if strict:
        check_strictly(request)
    return request


def parse_translation(fields: Iterable[tuple[str, str]], *, strict: bool = False) -> TranscriptionRequest:
    """Reads and checks the text fields of a translation's form; as `parse_transcription`."""
    form = decode_form(fields)
    if strict:
        refuse_unknown(form, TRANSLATION_FIELDS)
    request = _request(
        {name: value for name, value in form.items() if name in TranslationRequest.model_fields}
    )
    if request.response_format == "diarized_json":
        raise UnsupportedValueError(
            "response_format 'diarized_json' is not available for translations.", param="response_format"
        )
    return request


def misspelt(fields: Iterable[tuple[str, str]], known: Sequence[str]) -> dict[str, str]:
    """Names that are none of the ``known`` ones but nearly one of them, each with that one."""
    names = sorted({name.partition("[")[0] for name, _ in fields} - {*known})
    found = {name: get_close_matches(name, known, 1, _SIMILAR) for name in names if _WORD.fullmatch(name)}
    return {name: close[0] for name, close in found.items() if close}


def _request(form: Mapping[str, Any]) -> TranscriptionRequest:
    try:
        request = TranscriptionRequest.model_validate(form)
    except ValidationError as error:
        raise explain(error.errors(include_url=False), form) from None
    check_combinations(request)
    return request


def decode_form(fields: Iterable[tuple[str, str]]) -> Mapping[str, Any]:
    """Makes one dict of all fields: lists for `LIST_FIELDS`, dicts for nested ones, strings for the rest.

    A plain field that comes twice counts once, with its last value. What nobody here knows stays as it is.

    Raises:
        InvalidRequestError: A value looks like JSON and is none, or a name cannot be read.
    """
    form: dict[str, Any] = {}
    for key, value in fields:
        extra = _EXTRA.fullmatch(key)
        path = extra["name"] + extra["rest"] if extra else key
        if (unknown := path.partition("[")[0]) not in FIELDS and _NESTED.fullmatch(path):
            form[unknown] = value
            continue
        match = _KEY.fullmatch(path)
        if match is None:
            raise InvalidRequestError("A form field's name cannot be read.", param=key[:64])
        name, inner = match["name"], match["inner"]
        if name in LIST_FIELDS:
            form.setdefault(name, []).extend(_as_list(name, value))
        elif inner is None:
            form[name] = _from_json(name, value) if value.lstrip().startswith("{") else value
        elif inner == "" or inner.isdecimal():
            raise InvalidRequestError(f"'{name}' takes one value, not a list.", param=name)
        else:
            nested = form.get(name)
            if not isinstance(nested, dict):
                nested = form[name] = {}
            nested[inner] = value
    for name in _BY_PLACE & form.keys():
        if all(_is_unset(item) for item in form[name]):
            form[name] = []
    return form


def _as_list(name: str, value: str) -> list[Any]:
    if value.lstrip().startswith("["):
        items = _from_json(name, value)
        if isinstance(items, list):
            return items
    if name in _WORDS:
        words = (word.strip() for word in value.split(","))
        return [word if name == "languages" else word.lower() for word in words if word.lower() not in UNSET]
    return [] if _is_unset(value) and name not in _BY_PLACE else [value]


def _is_unset(value: object) -> bool:
    return isinstance(value, str) and value.strip().lower() in UNSET


def _from_json(name: str, value: str) -> Any:
    if name in {"prompt", "model", "language"}:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise InvalidRequestError(f"Invalid JSON in '{name}'.", param=name) from None


def read_object(data: str | bytes) -> dict[str, Any]:
    """The JSON object that ``data`` is, bytes as UTF-8.

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
        raise invalid_value(param, f"It has at most {most} items", code="array_above_max_length")


def validated(kind: type[ModelT], fields: Mapping[str, Any], param: str = "") -> ModelT:
    """``fields`` as an instance of ``kind``; a null is as good as no field.

    Raises:
        InvalidRequestError: Names the first wrong field, under ``param`` if it is not empty.
    """
    try:
        return kind.model_validate({name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        path = param.split(".") if param else ()
        errors = error.errors(include_url=False, include_input=False, include_context=False)
        for each in errors:
            each["loc"] = (*path, *each["loc"])
        raise explain(errors, fields) from None


_REASONS = {"tuple_type": "It is a list"}
"""What Pydantic says in Python's words."""


def explain(errors: Sequence[ErrorDetails], form: Mapping[str, Any]) -> InvalidRequestError:
    """Validation errors in OpenAI's words: what is wrong, with which parameter, and what would be right."""
    name = str(errors[0]["loc"][0])
    if name == "chunking_strategy" and not isinstance(form.get(name), dict):
        return invalid_value(name, "It is 'auto' or an object with type 'server_vad'")
    # An object fails as the word 'auto' too: that variant of the union is not what the client meant.
    error = next((error for error in errors if "ServerVad" in error["loc"]), errors[0])
    param = ".".join(part for part in error["loc"] if isinstance(part, str) and part != "ServerVad")
    if error["type"] == "missing":
        return missing(param)
    return invalid_value(param, _REASONS.get(error["type"], error["msg"]))


def missing(param: str, hint: str = "") -> InvalidRequestError:
    """The refusal of what lacks a parameter that it must have."""
    return InvalidRequestError(
        f"Missing required parameter: '{param}'.{hint}", param=param, code="missing_required_parameter"
    )


def invalid_value(param: str, reason: str, *, code: str = "invalid_value") -> InvalidRequestError:
    """The refusal of a parameter's value, for a reason that says what it should be."""
    return InvalidRequestError(f"Invalid value for '{param}': {reason}.", param=param, code=code)
