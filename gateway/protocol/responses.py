"""The answers of an OpenAPI operation: what is right, and how each refusal looks."""

from gateway.protocol.schemas import Schema, reference

REFUSALS = {
    400: ("BadRequest", "A parameter or the file is wrong; `param` names it."),
    401: ("Unauthorized", "No API key, or one that is not accepted."),
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
    "allow": {
        "description": "The methods this path has.",
        "required": True,
        "schema": {"type": "string"},
    },
}


def responses(success: Schema, *refusals: int) -> Schema:
    """An operation's ``responses``: the answer for 200, and the refusals by reference."""
    references = {
        str(status): {"$ref": f"#/components/responses/{REFUSALS[status][0]}"} for status in refusals
    }
    return {"200": success, **references}


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


def text_answer(description: str, *media_types: str) -> Schema:
    """A text response."""
    return answer(description, {name: {"schema": {"type": "string"}} for name in media_types})
