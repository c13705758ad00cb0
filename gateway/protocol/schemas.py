"""Parts of the OpenAPI document: the schemas of requests and answers, and how refusals look."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from gateway.protocol.parse import LIST_FIELDS
from gateway.protocol.request import ServerVad, TranslationRequest
from gateway.protocol.subtitles import SubtitleStyle

Schema = dict[str, Any]

REFERENCE = "#/components/schemas/{model}"

_SUBTITLE_FIELDS = {
    "max_line_width": "Subtitles: columns of a line; a Chinese character takes two.",
    "max_line_count": "Subtitles: lines of a cue.",
    "max_cue_seconds": "Subtitles: the longest a cue stays.",
    "min_cue_seconds": "Subtitles: the shortest a cue stays, where the next one allows.",
    "max_chars_per_second": "Subtitles: reading speed that a cue's time is stretched for, where it can be.",
    "min_gap_seconds": "Subtitles: time between two cues.",
}


def shape_schemas(shapes: Sequence[type]) -> Schema:
    """The schemas of models and of dicts by their titles, those of nested ones too."""
    adapters: list[tuple[type, JsonSchemaMode, TypeAdapter[Any]]]
    adapters = [(shape, "validation", TypeAdapter(shape)) for shape in shapes]
    _, schema = TypeAdapter.json_schemas(adapters, ref_template=REFERENCE)
    found = json.dumps(schema["$defs"])
    # Pydantic tells equal class names of two modules apart by those of the modules; titles are unique.
    for name, shape in schema["$defs"].items():
        reference, titled = (REFERENCE.format(model=model) for model in (name, shape["title"]))
        found = found.replace(f'"{reference}"', f'"{titled}"')
    return {shape["title"]: plain(shape) for shape in json.loads(found).values()}


def form_schema(request: type[TranslationRequest]) -> Schema:
    """A request as the multipart form that clients send: lists as ``name[]``, nested fields one by one."""
    schema = plain(request.model_json_schema(ref_template=REFERENCE))
    properties: Schema = {
        "file": {
            "type": "string",
            "format": "binary",
            "description": "The recording, in any container and codec that FFmpeg reads; the content "
            "decides, not the name. Best sent last: decoding needs the other fields.",
        }
    }
    # OpenAI's fields first, ours after them.
    fields = sorted(schema["properties"].items(), key=lambda item: item[0] in SubtitleStyle.model_fields)
    for name, field in fields:
        properties[f"{name}[]" if name in LIST_FIELDS else name] = _described(name, field)
        if name == "chunking_strategy":
            nested = plain(ServerVad.model_json_schema())["properties"]
            properties |= {f"{name}[{inner}]": value for inner, value in nested.items()}
    return {
        "type": "object",
        "description": schema["description"],
        "properties": properties,
        "required": ["file", *schema["required"]],
    }


def _described(name: str, field: Schema) -> Schema:
    text = _SUBTITLE_FIELDS.get(name)
    return field if text is None else {"description": text, **field}


def plain(schema: Mapping[str, Any]) -> Schema:
    """An object's schema without pydantic's titles. What defaults to null may be missing, but is not null."""
    kept = {key: value for key, value in schema.items() if key not in {"title", "$defs"}}
    if "properties" in kept:
        kept["properties"] = {name: _field(field) for name, field in kept["properties"].items()}
    return kept


def _field(schema: Mapping[str, Any]) -> Schema:
    kept = {key: value for key, value in schema.items() if key != "title"}
    if kept.get("default", ...) is not None:
        return kept
    del kept["default"]
    variants = [variant for variant in kept.pop("anyOf") if variant != {"type": "null"}]
    return {**kept, "anyOf": variants} if len(variants) > 1 else {**variants[0], **kept}


def reference(name: str) -> Schema:
    """A schema of the document, by its name."""
    return {"$ref": REFERENCE.format(model=name)}


REFUSALS = {
    400: ("BadRequest", "A parameter or the file is wrong; `param` names it."),
    401: ("Unauthorized", "No API key, or one that is not accepted."),
    403: ("Forbidden", "This key, page or host name may not do this."),
    404: ("NotFound", "No such path, or the model is not served here."),
    405: ("MethodNotAllowed", "The path exists, the method does not; `allow` lists what does."),
    408: ("RequestTimeout", "The client stopped sending its body."),
    413: ("PayloadTooLarge", "The upload is over the limit."),
    429: ("TooManyRequests", "The server is full; try again after `retry-after` seconds."),
    500: ("ServerError", "The recording could not be decoded, or something is broken here."),
    503: ("Unavailable", "No worker can serve at the moment."),
}
"""Each refusal's status, its name in the document, and what it means."""

_MORE_HEADERS = {405: ("allow",), 429: ("retry-after",), 503: ("retry-after",)}

HEADERS: Schema = {
    "x-request-id": {
        "description": "Names this exchange in the server's log.",
        "required": True,
        "schema": {"type": "string", "pattern": "^req_[0-9a-f]{32}$"},
    },
    "openai-processing-ms": {
        "description": "Milliseconds from the request to the answer's first byte.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
    "retry-after": {
        "description": "Whole seconds after which a retry makes sense, where that is known.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "location": {
        "description": "Where it is.",
        "required": True,
        "schema": {"type": "string"},
    },
    "allow": {
        "description": "The methods this path has.",
        "required": True,
        "schema": {"type": "string"},
    },
}


def responses(success: Schema, *refusals: int, status: int = 200) -> Schema:
    """An operation's ``responses``: the answer for its ``status``, and the refusals by reference."""
    references = {
        str(refusal): {"$ref": f"#/components/responses/{REFUSALS[refusal][0]}"} for refusal in refusals
    }
    return {str(status): success, **references}


def refusal_responses() -> Schema:
    """What the references of `responses` lead to."""
    envelope = {"application/json": {"schema": reference("ErrorEnvelope")}}
    return {
        name: answer(description, envelope, *_MORE_HEADERS.get(status, ()))
        for status, (name, description) in REFUSALS.items()
    }


def answer(description: str, content: Schema, *headers: str) -> Schema:
    """A response of these media types, with the headers that every answer has and with ``headers``."""
    names = ("x-request-id", "openai-processing-ms", *headers)
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": content,
    }


def json_answer(description: str, model: str) -> Schema:
    """A JSON response of the schema ``model``."""
    return answer(description, {"application/json": {"schema": reference(model)}})


def moved_answer(description: str) -> Schema:
    """A redirection, which has no body."""
    shown = answer(description, {}, "location")
    del shown["content"]
    return shown


def text_answer(description: str, *media_types: str) -> Schema:
    """A text response."""
    return answer(description, {name: {"schema": {"type": "string"}} for name in media_types})
