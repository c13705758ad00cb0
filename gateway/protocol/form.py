"""Form fields as clients encode them: bracketed, repeated, nested or as JSON, made into one plain dict.

`openai` for Python sends ``include[]=logprobs`` and ``chunking_strategy[type]=server_vad``; curl users send
``include=logprobs`` and ``chunking_strategy={"type": "server_vad"}``; others ``include[0]`` or a JSON list.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.errors import InvalidRequestError

LIST_FIELDS = frozenset({
    "include",
    "keywords",
    "known_speaker_names",
    "known_speaker_references",
    "languages",
    "timestamp_granularities",
})  # fmt: skip

_KEY = re.compile(r"(?P<name>[^\[\]]+)(?:\[(?P<inner>[^\[\]]*)\])?")


def decode_form(fields: Iterable[tuple[str, str]]) -> Mapping[str, Any]:
    """Makes one dict of all fields: lists for `LIST_FIELDS`, dicts for nested ones, strings for the rest.

    A plain field that comes twice counts once, with its last value.

    Raises:
        InvalidRequestError: A value looks like JSON and is none, or a name cannot be read.
    """
    form: dict[str, Any] = {}
    for key, value in fields:
        match = _KEY.fullmatch(key)
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
    return form


def _as_list(name: str, value: str) -> list[Any]:
    if value.lstrip().startswith("["):
        items = _from_json(name, value)
        if isinstance(items, list):
            return items
    return [value] if value.strip() else []


def _from_json(name: str, value: str) -> Any:
    if name in {"prompt", "model", "language"}:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise InvalidRequestError(f"Invalid JSON in '{name}'.", param=name) from None
