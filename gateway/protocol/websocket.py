"""The plain WebSocket's wire: the query string it opens with, its text frames, its close codes.

The query's names are the form's (`gateway.protocol.request`), repeated or bracketed as there, and three more:
``format``, ``sample_rate`` and ``interim_results``. Servers read about 8 KB of it.
"""

import json
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.errors import (
    GatewayError,
    InvalidAudioError,
    InvalidRequestError,
    OverloadedError,
    PayloadTooLargeError,
    ShuttingDownError,
    UnavailableError,
)
from gateway.protocol.parse import explain, parse_transcription
from gateway.protocol.request import UNSET, TranscriptionRequest

END_OF_INPUT = "input_audio.end"

MAX_REASON_BYTES = 123
"""RFC 6455, section 5.5: a control frame holds 125 bytes, two of which are the code."""

_MAX_FIELDS = 1_000


class _Input(BaseModel):
    """What the query says about the binary frames."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal["pcm16"] | None = None
    sample_rate: Annotated[int, Field(ge=8_000, le=48_000)] | None = None
    interim_results: bool = False


@dataclass(frozen=True, slots=True)
class StreamQuery:
    """A checked query.

    Attributes:
        request: ``stream`` is implied.
        pcm_rate: The frames are bare samples at this rate, little-endian signed 16 bit, mono; None: a
            container.
        interim_results: Volatile texts are wanted, too.
    """

    request: TranscriptionRequest
    pcm_rate: int | None
    interim_results: bool


def parse_query(query: str, *, strict: bool = False) -> StreamQuery:
    """Reads and checks the query string.

    Args:
        strict: Refuse what OpenAI refuses, too.

    Raises:
        InvalidRequestError: Names the first parameter that is missing, malformed or in contradiction.
    """
    try:
        fields = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise InvalidRequestError(f"The query has more than {_MAX_FIELDS} fields.") from None
    ours = {name: value.strip().lower() for name, value in fields if name in _Input.model_fields}
    ours = {name: value for name, value in ours.items() if value not in UNSET}
    try:
        given = _Input.model_validate(ours)
    except ValidationError as error:
        raise explain(error.errors(include_url=False), ours) from None
    if (given.format is None) != (given.sample_rate is None):
        raise InvalidRequestError(
            "format=pcm16 and sample_rate (8000 to 48000) go together; a container needs neither.",
            param="sample_rate" if given.sample_rate is None else "format",
        )
    form = [(name, value) for name, value in fields if name not in {*_Input.model_fields, "stream"}]
    request = parse_transcription([*form, ("stream", "true")], strict=strict)
    if request.by_channel and given.format is not None:
        raise InvalidRequestError(
            "format=pcm16 has one channel: channels=speakers needs more.", param="channels"
        )
    if request.by_channel and given.interim_results:
        raise InvalidRequestError(
            "interim_results does not go with channels=speakers: whose words come next is not known.",
            param="interim_results",
        )
    return StreamQuery(request, given.sample_rate, given.interim_results)


def check_text(frame: str) -> None:
    """Returns where a text frame says what it may: that the input ends.

    Raises:
        InvalidRequestError: It says something else.
    """
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError):
        raise InvalidRequestError(
            "A text frame must be JSON; audio goes into binary frames.", code="invalid_json"
        ) from None
    if not isinstance(message, dict) or message.get("type") != END_OF_INPUT:
        raise InvalidRequestError(
            f'Unknown text frame. The only one known here is {{"type":"{END_OF_INPUT}"}}.',
            param="type",
            code="unknown_message",
        )


COME_AGAIN = (1012, 1013)
"""Close codes of a server that ends, and of one that has no room."""


def close_code(error: GatewayError) -> int:
    """The code a WebSocket closes with after ``error``: RFC 6455 section 7.4.1, and IANA's 1012 and 1013.

    OpenAI's clients connect again after 1012 and 1013, and take 1008 as the last word.
    """
    match error:
        case ShuttingDownError():
            return 1012
        case OverloadedError() | UnavailableError():
            return 1013
        case PayloadTooLargeError() | InvalidAudioError(code="audio_too_long"):
            return 1009
        case InvalidAudioError() | InvalidRequestError(code="invalid_json"):
            return 1007
        case InvalidRequestError(code="unknown_message"):
            return 1003
        case _:
            return 1011 if error.status >= 500 else 1008


def close_reason(error: GatewayError) -> str:
    """As much of the message as a close frame holds."""
    return error.message.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
