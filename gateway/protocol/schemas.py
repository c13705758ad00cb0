"""JSON schemas of the request and answer models, as the OpenAPI document shows them."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.protocol.form import LIST_FIELDS
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


def model_schemas(models: Sequence[type[BaseModel]]) -> Schema:
    """The schemas by model name, those of nested models too."""
    _, schema = models_json_schema([(model, "validation") for model in models], ref_template=REFERENCE)
    return {name: plain(model) for name, model in schema["$defs"].items()}


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
