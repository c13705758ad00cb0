"""Whose words they are: the voices of each chunk are heard beside the engine, and its segments attributed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

import anyio
import anyio.to_thread

from gateway.audio.speaker_model import SpeakerModel, Voice
from gateway.audio.speaker_reference import enrol
from gateway.audio.speakers import KnownSpeaker, SpeakerOptions, SpeakerTracker, tell_apart
from gateway.audio.types import Chunk
from gateway.transcript import Hypothesis
from gateway.transcript.speakers import SpeakerNames, Turn, attribute

Place = TypeVar("Place")


@dataclass(frozen=True, slots=True)
class Speakers:
    """That speakers are told apart, and how.

    Attributes:
        at_end: When the recording is over, all of it looked at together; else chunk by chunk, for good.
    """

    model: SpeakerModel
    options: SpeakerOptions = field(default_factory=SpeakerOptions)
    at_end: bool = False

    @property
    def names(self) -> SpeakerNames:
        """The names of a new recording's speakers."""
        return SpeakerNames([known.name for known in self.options.known])


class ChunkSpeakers:
    """The turns of a stream's chunks, one after the other. It computes, so call it in a thread."""

    def __init__(self, speakers: Speakers) -> None:
        self._model = speakers.model
        self._tracker = SpeakerTracker(speakers.options)

    def turns(self, chunk: Chunk) -> list[Turn]:
        """Who speaks when in the next chunk."""
        return self._tracker.follow(self._model.hear(chunk.samples, chunk.breaks))


class Attribution(Generic[Place]):
    """Gives a recording's words to its speakers: chunk by chunk, or all of them at its end.

    Args:
        threads: Those that may compute.
    """

    def __init__(self, speakers: Speakers, threads: anyio.CapacityLimiter) -> None:
        self._speakers = speakers
        self._threads = threads
        self._names = speakers.names
        self._tracker = SpeakerTracker(speakers.options)
        self._voices: list[Voice] = []
        self._waiting: list[tuple[Hypothesis, Sequence[Voice], Place]] = []

    async def hear(self, chunk: Chunk) -> None:
        """Listens to the voices of the chunk whose hypothesis is taken next."""
        self._voices = await anyio.to_thread.run_sync(
            self._speakers.model.hear, chunk.samples, chunk.breaks, limiter=self._threads
        )

    async def take(self, hypothesis: Hypothesis, place: Place) -> list[tuple[Hypothesis, Place]]:
        """Takes a chunk's hypothesis; gives those whose speakers are known now, each with its place."""
        if self._speakers.at_end:
            self._waiting.append((hypothesis, self._voices, place))
            return []
        turns = await anyio.to_thread.run_sync(self._tracker.follow, self._voices, limiter=self._threads)
        return [(attribute(hypothesis, turns, self._names), place)]

    async def finish(self) -> list[tuple[Hypothesis, Place]]:
        """Ends the recording: gives what waited for it."""
        chunks = [voices for _, voices, _ in self._waiting]
        found = await anyio.to_thread.run_sync(
            tell_apart, chunks, self._speakers.options, limiter=self._threads
        )
        return [
            (attribute(hypothesis, turns, self._names), place)
            for (hypothesis, _, place), turns in zip(self._waiting, found, strict=True)
        ]


async def enrol_all(model: SpeakerModel, references: Iterable[tuple[str, bytes]]) -> tuple[KnownSpeaker, ...]:
    """The known speakers, by each one's name and recording.

    Raises:
        InvalidRequestError: A reference is no audio, too short or too long, or nobody speaks in it.
    """
    return tuple(
        [await anyio.to_thread.run_sync(partial(enrol, model, name, data)) for name, data in references]
    )
