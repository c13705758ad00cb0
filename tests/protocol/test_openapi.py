"""The document holds together: every reference leads somewhere, every operation says all it can answer."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gateway.errors import GatewayError
from gateway.protocol.openapi import openapi_document
from gateway.protocol.realtime.config import SessionConfig
from gateway.protocol.request import TranscriptionRequest, TranslationRequest
from gateway.protocol.schemas import REFUSALS

DOCUMENT = openapi_document(version="1.2.3", secured=False)
OPERATIONS = [
    operation
    for item in DOCUMENT["paths"].values()
    for name, operation in item.items()
    if name != "parameters"
]


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """All objects within."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(child)


def test_references() -> None:
    """Each leads to a component, and no component is there for nothing."""
    references = {node["$ref"] for node in nodes(DOCUMENT) if isinstance(node.get("$ref"), str)}
    components = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "responses", "headers")
        for name in DOCUMENT["components"][kind]
    }

    assert references == components


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_schemas(name: str) -> None:
    """They are JSON schemas, and each says what it is and what each of its fields means."""
    schema = DOCUMENT["components"]["schemas"][name]
    Draft202012Validator.check_schema(schema)

    assert schema["description"]
    for field, described in schema.get("properties", {}).items():
        assert {"description", "$ref", "const"} & described.keys(), field


@pytest.mark.parametrize(
    ("form", "request_model"),
    [("TranscriptionForm", TranscriptionRequest), ("TranslationForm", TranslationRequest)],
)
def test_forms(form: str, request_model: type[TranslationRequest]) -> None:
    """Every field that is read is documented with a description, under the name that clients send."""
    properties = DOCUMENT["components"]["schemas"][form]["properties"]
    plain = {name.removesuffix("[]") for name in properties if "[" not in name.removesuffix("[]")}

    assert plain == {"file", *request_model.model_fields}
    assert all(field["description"] for field in properties.values())


def test_operations() -> None:
    """Each has a name of its own; those that read forms can be refused for every reason there is."""
    names = [operation["operationId"] for operation in OPERATIONS]
    uploads = [
        operation
        for operation in OPERATIONS
        if "multipart/form-data" in operation.get("requestBody", {}).get("content", {})
    ]

    assert len(names) == len(set(names))
    assert all({"405", "500"} <= operation["responses"].keys() for operation in OPERATIONS)
    assert all({"200", "308"} & operation["responses"].keys() for operation in OPERATIONS)
    assert [set(upload["responses"]) for upload in uploads] == [{"200", *map(str, REFUSALS)}] * 2


def test_session_settings() -> None:
    """A session that is written as the document's defaults say is read as it is meant."""
    secret = DOCUMENT["components"]["schemas"]["ClientSecretRequest"]["properties"]["session"]

    assert SessionConfig.default("gpt-4o-transcribe").updated(secret["default"]) == SessionConfig()


def errors(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    """The whole tree of errors."""
    yield kind
    for child in kind.__subclasses__():
        yield from errors(child)


def test_refusals() -> None:
    """Every status of the tree of errors is documented, and no other."""
    assert {kind.status for kind in errors(GatewayError)} == set(REFUSALS)


@pytest.mark.parametrize(("secured", "expected"), [(False, [{"bearer": []}, {}]), (True, [{"bearer": []}])])
def test_security(*, secured: bool, expected: list[dict[str, Any]]) -> None:
    """A key is needed where keys are configured, but never for what probes and readers ask."""
    document = openapi_document(version="1", secured=secured)

    assert document["security"] == expected
    assert document["paths"]["/health"]["get"]["security"] == []
    assert "security" not in document["paths"]["/v1/models"]["get"]
