"""What a client may ask of a transcription, checked: every refusal names its parameter."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from gateway.errors import InvalidRequestError
from gateway.protocol.form import decode_form

ResponseFormat = Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"]


def _none_if_blank(value: Any) -> Any:
    """Clients that bind an empty input box send the field empty; they mean that it is not set."""
    return None if isinstance(value, str) and not value.strip() else value


_Optional = BeforeValidator(_none_if_blank)


class ServerVad(BaseModel):
    """The `chunking_strategy` object."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: Literal["server_vad"]
    threshold: float = Field(0.5, ge=0, le=1, allow_inf_nan=False)
    prefix_padding_ms: int = Field(300, ge=0, le=5_000)
    silence_duration_ms: int = Field(200, ge=0, le=10_000)


class TranscriptionRequest(BaseModel):
    """The fields of `POST /v1/audio/transcriptions` beside the file.

    Source: the published OpenAPI document; temperature up to 2 as some providers allow.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: Annotated[str, Field(min_length=1, max_length=256)]
    language: Annotated[str | None, Field(max_length=32), _Optional] = None
    prompt: Annotated[str | None, Field(max_length=65_536), _Optional] = None
    response_format: Annotated[ResponseFormat, BeforeValidator(lambda v: _none_if_blank(v) or "json")] = (
        "json"
    )
    temperature: Annotated[
        float, Field(ge=0, le=2, allow_inf_nan=False), BeforeValidator(lambda v: 0 if v == "" else v)
    ] = 0.0
    stream: Annotated[bool, BeforeValidator(lambda v: False if v == "" else v)] = False
    chunking_strategy: Annotated[Literal["auto"] | ServerVad | None, _Optional] = None
    include: tuple[Literal["logprobs"], ...] = ()

    @property
    def wants_logprobs(self) -> bool:
        """`include[]` asks for token log-probabilities."""
        return "logprobs" in self.include


def parse_request(fields: Iterable[tuple[str, str]]) -> TranscriptionRequest:
    """Reads and checks the form's text fields.

    Raises:
        InvalidRequestError: Names the first parameter that is missing, malformed or in contradiction.
    """
    form = decode_form(fields)
    try:
        request = TranscriptionRequest.model_validate(form)
    except ValidationError as error:
        raise explain(error.errors(include_url=False), form) from None
    _check_combinations(request)
    return request


def _check_combinations(request: TranscriptionRequest) -> None:
    if request.response_format not in {"json", "text"}:
        raise InvalidRequestError(
            f"response_format '{request.response_format}' is not available here yet. "
            "Supported values are: 'json' and 'text'.",
            param="response_format",
            code="unsupported_value",
        )
    if request.wants_logprobs and request.response_format != "json":
        raise InvalidRequestError("include[]=logprobs needs response_format=json.", param="include")


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
