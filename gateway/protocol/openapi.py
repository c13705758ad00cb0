"""The OpenAPI document: every HTTP endpoint, made of the shapes of what is read and built."""

from gateway.protocol.answers import (
    DiarizedTranscription,
    HealthReport,
    Model,
    ModelList,
    Transcription,
    VerboseTranscription,
)
from gateway.protocol.captions import Caption, CaptionPart, CaptionsEvent
from gateway.protocol.events import (
    END_OF_STREAM,
    ErrorEnvelope,
    TextDeltaEvent,
    TextDoneEvent,
    TextSegmentEvent,
)
from gateway.protocol.realtime.client_secrets import (
    ClientSecret,
    ClientSecretRequest,
    TranscriptionSession,
    TranscriptionSessionRequest,
)
from gateway.protocol.request import ServerVad, TranscriptionRequest, TranslationRequest
from gateway.protocol.schemas import (
    HEADERS,
    Schema,
    answer,
    form_schema,
    json_answer,
    moved_answer,
    reference,
    refusal_responses,
    responses,
    shape_schemas,
    text_answer,
)

_DESCRIPTION = """\
OpenAI's audio API, self-hosted: clients change their base URL and carry on.

Send a recording as a form and get its text back: as one answer, or with `stream=true` as server-sent \
events while it is being decoded.

Lists may come as `name[]` (as OpenAI's clients send them), as repeated `name`, or as a JSON list; \
`chunking_strategy` as `auto`, as JSON, or field by field. Unknown fields are ignored.

Two WebSockets, which OpenAPI has no words for: `/v1/realtime` for live captions, in OpenAI's transcription \
sessions (the page at `/` is one), and `/v1/audio/transcriptions`, which takes recordings as they come.

Every answer carries `x-request-id` and `openai-processing-ms`. Every refusal is an error envelope.

Every path below `/v1` also works behind one more segment, `/{project_id}/v1/…`, as some providers have it."""

_EVENTS = (TextDeltaEvent, TextSegmentEvent, TextDoneEvent)
_ANSWERS = (
    *(Transcription, VerboseTranscription, DiarizedTranscription),
    *(ErrorEnvelope, Model, ModelList, HealthReport),
)

_CAPTIONS = (CaptionsEvent, Caption, CaptionPart)

_SECRETS = (ClientSecretRequest, ClientSecret, TranscriptionSessionRequest, TranscriptionSession)

_TAGS = [
    {"name": "Audio", "description": "Speech to text."},
    {"name": "Realtime", "description": "Ephemeral keys, with which browsers open live sessions."},
    {"name": "Models", "description": "What can be asked for."},
    {"name": "Operations", "description": "For probes, monitoring and readers; without a key."},
]


def openapi_document(*, version: str, secured: bool) -> Schema:
    """The document as a JSON object.

    Args:
        secured: API keys are configured; else a key is accepted and means nothing.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Transcription gateway",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}] if secured else [{"bearer": []}, {}],
        "tags": _TAGS,
        "paths": {**_audio_paths(), **_realtime_paths(), **_model_paths(), **_operation_paths()},
        "components": {
            "schemas": _schemas(),
            "headers": HEADERS,
            "responses": refusal_responses(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "One of the server's keys, if it has any.",
                }
            },
        },
    }


def _schemas() -> Schema:
    return {
        "TranscriptionForm": form_schema(TranscriptionRequest),
        "TranslationForm": form_schema(TranslationRequest),
        "StreamEvent": {
            "description": "One event of a stream, told apart by its type.",
            "oneOf": [reference(event.__name__) for event in _EVENTS],
        },
        **shape_schemas([*_EVENTS, *_ANSWERS, *_SECRETS, *_CAPTIONS, ServerVad]),
    }


def _audio_paths() -> Schema:
    return {
        "/v1/audio/transcriptions": {
            "post": _operation(
                "Audio",
                "createTranscription",
                "Transcribe a recording",
                "What was said, in the language it was said in.",
                **_upload("TranscriptionForm"),
            )
        },
        "/v1/audio/translations": {
            "post": _operation(
                "Audio",
                "createTranslation",
                "Translate a recording into English",
                "What was said, in English. Models that cannot translate refuse with 400.",
                **_upload("TranslationForm"),
            )
        },
    }


def _realtime_paths() -> Schema:
    return {
        "/v1/realtime/client_secrets": {
            "post": _operation(
                "Realtime",
                "createClientSecret",
                "Make an ephemeral key",
                "A key for clients that must not have a real one, with a session's settings.",
                **_secret("ClientSecretRequest", "ClientSecret"),
            )
        },
        "/v1/realtime/transcription_sessions": {
            "post": _operation(
                "Realtime",
                "createTranscriptionSession",
                "Make an ephemeral key, as older clients do",
                "The same in the flat fields of OpenAI's first Realtime API.",
                deprecated=True,
                **_secret("TranscriptionSessionRequest", "TranscriptionSession"),
            )
        },
    }


def _secret(request: str, made: str) -> Schema:
    return {
        # Without a body all is as by default.
        "requestBody": _body("application/json", request, required=False),
        "responses": responses(json_answer("The key.", made), 400, 401, 403, 404, 405, 408, 413, 429, 500),
    }


def _upload(form: str) -> Schema:
    event = {"anyOf": [reference("StreamEvent"), reference("ErrorEnvelope"), {"const": END_OF_STREAM}]}
    stream = {
        "type": "string",
        "description": "With stream=true: each event is a line `data: {…}` and a blank line; lines that "
        "begin with a colon only keep the connection open. The last line is `data: [DONE]`. A failure on the "
        "way is a line with the error envelope; it ends the stream, without a done event.",
        "contentMediaType": "text/event-stream",
        "contentSchema": {"type": "array", "items": event},
    }
    body = {
        "description": "For response_format json, verbose_json or diarized_json.",
        "anyOf": [
            reference(name) for name in ("Transcription", "VerboseTranscription", "DiarizedTranscription")
        ],
    }
    content = {
        "application/json": {"schema": body},
        "text/event-stream": {"schema": stream},
        "text/plain": {"schema": {"type": "string", "description": "For response_format text or srt."}},
        "text/vtt": {"schema": {"type": "string", "description": "For response_format=vtt."}},
    }
    refusals = (400, 401, 403, 404, 405, 408, 413, 429, 500, 503)
    return {
        "requestBody": _body("multipart/form-data", form, required=True),
        "responses": responses(answer("The transcript.", content), *refusals),
    }


def _model_paths() -> Schema:
    names = responses(json_answer("All names.", "ModelList"), 401, 403, 405, 429, 500)
    named = responses(json_answer("The model.", "Model"), 401, 403, 404, 405, 429, 500)
    return {
        "/v1/models": {
            "get": _operation(
                "Models",
                "listModels",
                "List the models",
                "Every name that works: the served models' own, and OpenAI's.",
                responses=names,
            )
        },
        "/v1/models/{model}": {
            "get": _operation(
                "Models",
                "retrieveModel",
                "Look up a model",
                parameters=[_in_path("model", "Any name of the list. It may hold slashes.", "whisper-1")],
                responses=named,
            )
        },
    }


def _operation_paths() -> Schema:
    page = text_answer("An HTML page that asks nobody else for anything.", "text/html")
    starting = json_answer("A model has no worker that can serve yet.", "HealthReport")
    document = answer("OpenAPI 3.1.", {"application/json": {"schema": {"type": "object"}}})
    health = json_answer("The process lives; the body says how its parts are.", "HealthReport")
    ready = json_answer("Every model can be served.", "HealthReport")
    metrics = text_answer("Prometheus' text format.", "text/plain")
    file = text_answer("The file.", "text/css", "text/javascript", "image/svg+xml")
    moved = moved_answer("To the page.")
    events = {
        "type": "string",
        "description": "Each event is a line `data: {…}` and a blank line; lines that begin with a colon "
        "only keep the connection open. The first event is a snapshot.",
        "contentMediaType": "text/event-stream",
        "contentSchema": {"type": "array", "items": reference("CaptionsEvent")},
    }
    captions = answer("The captions, as they come.", {"text/event-stream": {"schema": events}})
    return {
        "/health": _read("getHealth", "Is it alive?", responses(health, 405, 500)),
        "/ready": _read("getReadiness", "Can it serve?", {**responses(ready, 405, 500), "503": starting}),
        "/metrics": _read("getMetrics", "What has it done?", responses(metrics, 405, 500)),
        "/openapi.json": _read("getOpenapi", "This document", responses(document, 405, 500)),
        "/": _read("getHome", "Captions while you speak, recordings, the API", responses(page, 405, 500)),
        "/docs": _read("getDocs", "This document, to read", responses(page, 405, 500)),
        "/live": _read("getLive", "Where captions were before", responses(moved, 405, 500, status=308)),
        "/captions/{token}": {
            "parameters": [
                _in_path("token", "Made of what a live session names in its URL as `publish`.", "…")
            ],
            **_read(
                "readCaptions", "Read a live session's captions", responses(captions, 404, 405, 429, 500)
            ),
        },
        "/docs/{asset}": {
            "parameters": [_in_path("asset", "A file of the pages.", "docs.css")],
            **_read("getDocsAsset", "The pages' styles and scripts", responses(file, 404, 405, 500)),
        },
    }


def _read(operation: str, summary: str, answers: Schema) -> Schema:
    return {"get": _operation("Operations", operation, summary, security=[], responses=answers)}


def _operation(tag: str, name: str, summary: str, description: str | None = None, **more: object) -> Schema:
    described = {} if description is None else {"description": description}
    return {"operationId": name, "tags": [tag], "summary": summary, **described, **more}


def _in_path(name: str, description: str, example: str) -> Schema:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string"},
        "example": example,
    }


def _body(media_type: str, schema: str, *, required: bool) -> Schema:
    return {"required": required, "content": {media_type: {"schema": reference(schema)}}}
