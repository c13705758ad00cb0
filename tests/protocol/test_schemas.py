"""Schemas as the document shows them: no titles, no null that means nothing, forms as they are sent."""

from pydantic import BaseModel, Field

from gateway.protocol.parse import decode_form, parse_transcription
from gateway.protocol.request import TranscriptionRequest
from gateway.protocol.schemas import form_schema, shape_schemas


class Inner(BaseModel):
    """Inside."""

    value: int


class Outer(BaseModel):
    """Outside."""

    inner: Inner | None = None
    either: int | str | None = Field(None, description="One or the other.")
    null: int | None


def test_optional_fields() -> None:
    """What defaults to null may be missing but is not null; what is required and may be null, may."""
    schemas = shape_schemas([Outer])

    assert schemas["Inner"]["properties"] == {"value": {"type": "integer"}}
    assert schemas["Outer"]["properties"] == {
        "inner": {"$ref": "#/components/schemas/Inner"},
        "either": {"description": "One or the other.", "anyOf": [{"type": "integer"}, {"type": "string"}]},
        "null": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    }
    assert schemas["Outer"]["required"] == ["null"]


def test_names_are_those_that_are_read() -> None:
    """A value under each documented name arrives in the request; lists have brackets, nested fields too."""
    names = form_schema(TranscriptionRequest)["properties"].keys() - {"file"}
    form = decode_form([(name, "x") for name in sorted(names)])

    assert form.keys() == TranscriptionRequest.model_fields.keys()
    assert {name for name in names if name.endswith("[]")} == {
        f"{name}[]" for name, value in form.items() if isinstance(value, list)
    }
    assert form["chunking_strategy"].keys() == {
        *("type", "threshold", "prefix_padding_ms", "silence_duration_ms")
    }


def test_defaults_are_accepted() -> None:
    """Sending every documented default says the same as sending nothing."""
    properties = form_schema(TranscriptionRequest)["properties"]
    defaults = [
        (name, str(field["default"]))
        for name, field in properties.items()
        if field.get("default") not in (None, [])
    ]
    nothing = [("model", "m"), ("chunking_strategy[type]", "server_vad")]

    assert len(defaults) > 5
    assert parse_transcription([*nothing, *defaults]) == parse_transcription(nothing)
