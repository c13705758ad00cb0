"""What the transcribing endpoints share: models, limits, and what the operator chose."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Literal

import anyio

from gateway.audio.chunking import ChunkingOptions
from gateway.audio.speakers import SpeakerOptions
from gateway.engine.api import Recognizer, Task
from gateway.engine.catalog import Catalog
from gateway.errors import InvalidRequestError, ShuttingDownError
from gateway.flow.options import PartialOptions, Recognition, Resources
from gateway.flow.pacing import Load
from gateway.flow.recording import Transcription
from gateway.flow.speaker_source import SpeakerSource
from gateway.flow.speakers import Speakers, enrol_all
from gateway.protocol.contracts import contract
from gateway.protocol.references import REFERENCES, decode_reference
from gateway.protocol.request import TranscriptionRequest
from gateway.server.admission import Admission
from gateway.server.options import chunking_options, decode_options
from gateway.server.spool import Spool


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may take; each is the setting of that name, see `gateway.settings.Settings`."""

    max_upload_bytes: int
    max_stream_bytes: int
    max_audio_seconds: float
    max_waiting_bytes: int
    max_waiting_total: int
    max_session_seconds: float
    resume_seconds: float
    upload_timeout: float
    send_timeout: float


@dataclass(frozen=True, slots=True)
class Service:
    """What the transcribing endpoints share.

    Attributes:
        load: What the live sessions leave of the machine.
        admission: How many recordings are transcribed at the same time.
        stopping: Set when the server will wait no longer for running requests.
        speakers: What tells speakers apart, once somebody asks for it.
        default_chunking: What an unset `chunking_strategy` means.
        partials: How utterances that go on are decoded; None: they are not.
        always_logprobs: Log-probabilities stand in every delta, asked for or not.
        strict_openai: Refuse what OpenAI refuses, too.
        spools: Of the uploads under way.
    """

    catalog: Catalog
    resources: Resources
    limits: Limits
    load: Load
    admission: Admission
    stopping: anyio.Event
    speakers: SpeakerSource
    default_chunking: Literal["auto", "block"] = "auto"
    partials: PartialOptions | None = field(default_factory=PartialOptions)
    always_logprobs: bool = False
    strict_openai: bool = False
    spools: set[Spool] = field(default_factory=set)

    @contextmanager
    def spool(self) -> Iterator[Spool]:
        """A place on disk for one upload until the context is left."""
        with Spool() as spool:
            self.spools.add(spool)
            try:
                yield spool
            finally:
                self.spools.discard(spool)

    def chunking(self, request: TranscriptionRequest) -> ChunkingOptions:
        """How the request's recording is cut."""
        return chunking_options(
            request, max_seconds=self.limits.max_audio_seconds, default=self.default_chunking
        )

    async def speakers_of(self, request: TranscriptionRequest, *, at_end: bool) -> Speakers | None:
        """How speakers are told apart, where the request asks for it.

        Raises:
            InvalidRequestError: It cannot be done here, or a reference is not what it must be.
            UnavailableError: Not yet.
        """
        if request.by_channel or not request.wants_speakers:
            return None
        model = await self.speakers.get()
        references = zip(
            request.known_speaker_names, map(decode_reference, request.known_speaker_references), strict=True
        )
        try:
            known = await enrol_all(model, references)
        except InvalidRequestError as error:
            raise error.under(REFERENCES) from None
        options = SpeakerOptions(known, request.num_speakers, request.max_speakers)
        return Speakers(model, options, at_end=at_end)

    def streams_logprobs(self, request: TranscriptionRequest) -> bool:
        """Asked for, or expected: clients of names that are none of OpenAI's read them unasked."""
        return request.wants_logprobs or self.always_logprobs or not contract(request.model).is_openai

    async def abort_when_stopping(self, transcription: Transcription) -> None:
        """Ends the transcription together with the server."""
        await self.stopping.wait()
        transcription.abort(ShuttingDownError())


def recognition(
    request: TranscriptionRequest,
    recognizer: Recognizer,
    *,
    task: Task,
    logprobs: bool,
    partials: PartialOptions | None = None,
    speakers: Speakers | None = None,
) -> Recognition:
    """How a recording is recognized by a model that is leased as long as the request lasts.

    Raises:
        UnsupportedValueError: The model cannot do what is asked; names the parameter and the model.
        UnavailableError: No worker has loaded the model yet.
    """
    decoding = decode_options(request, recognizer, task=task, logprobs=logprobs)
    if speakers is not None:
        decoding = replace(decoding, words=recognizer.capabilities.words)
    detects = recognizer.capabilities.detects_language
    return Recognition(
        lambda: nullcontext(recognizer),
        request.model,
        decoding,
        partials,
        detects,
        speakers,
        channel_names=request.known_speaker_names if request.by_channel else (),
    )
