"""What the transcribing endpoints share: models, limits, and what the operator chose."""

from dataclasses import dataclass
from typing import Literal

import anyio

from gateway.audio.chunking import ChunkingOptions
from gateway.engine.catalog import Catalog
from gateway.errors import ShuttingDownError
from gateway.flow.recording import Resources, Transcription
from gateway.protocol.names import is_openai
from gateway.protocol.request import TranscriptionRequest
from gateway.server.admission import Admission
from gateway.server.options import chunking_options


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may take.

    Attributes:
        stream_bytes: Of a container that comes through a WebSocket.
        upload_pause: Seconds a client may pause within its body, or between its frames.
        send_pause: Seconds a client may stop reading its answer.
    """

    file_bytes: int
    stream_bytes: int
    audio_seconds: float
    upload_pause: float
    send_pause: float


@dataclass(frozen=True, slots=True)
class Service:
    """What the transcribing endpoints share.

    Attributes:
        default_chunking: What an unset `chunking_strategy` means.
        stopping: Set when the server will wait no longer for running requests.
        always_logprobs: Log-probabilities stand in every delta, asked for or not.
        strict: Refuse what OpenAI refuses, too.
    """

    catalog: Catalog
    resources: Resources
    limits: Limits
    admission: Admission
    stopping: anyio.Event
    default_chunking: Literal["auto", "block"] = "auto"
    always_logprobs: bool = False
    strict: bool = False

    def chunking(self, request: TranscriptionRequest) -> ChunkingOptions:
        """How the request's recording is cut."""
        return chunking_options(request, max_seconds=self.limits.audio_seconds, default=self.default_chunking)

    def streams_logprobs(self, request: TranscriptionRequest) -> bool:
        """Asked for, or expected: clients of names that are none of OpenAI's read them unasked."""
        return request.wants_logprobs or self.always_logprobs or not is_openai(request.model)

    async def abort_when_stopping(self, transcription: Transcription) -> None:
        """Ends the transcription together with the server."""
        await self.stopping.wait()
        transcription.abort(ShuttingDownError())
