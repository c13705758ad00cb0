"""Whose words they are: by the voices of each chunk, heard beside the engine, or by its channel."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeAlias

import anyio
import anyio.to_thread

from gateway.audio.speaker_model import SpeakerModel, Voice
from gateway.audio.speaker_reference import by_telephone, enrol
from gateway.audio.speakers import KnownSpeaker, SpeakerOptions, SpeakerTracker, tell_apart
from gateway.audio.types import SAMPLE_RATE, Chunk
from gateway.transcript import Hypothesis
from gateway.transcript.conversation import Conversation
from gateway.transcript.speakers import SpeakerNames, Turn, attribute
from gateway.transcript.timeline import Timeline


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
    """The voices and the turns of a stream's chunks, one after the other, computed in a thread.

    Args:
        threads: Those that may compute; None: those that all share.
    """

    def __init__(self, speakers: Speakers, threads: anyio.CapacityLimiter | None = None) -> None:
        self._model = speakers.model
        self._by_telephone = speakers.options.by_telephone
        self._tracker = SpeakerTracker(speakers.options)
        self._threads = threads

    async def voices(self, chunk: Chunk) -> list[Voice]:
        """Those in any chunk."""
        return await anyio.to_thread.run_sync(self._hear, chunk, limiter=self._threads)

    def _hear(self, chunk: Chunk) -> list[Voice]:
        samples = by_telephone(chunk.samples) if self._by_telephone else chunk.samples
        return self._model.hear(samples, chunk.breaks)

    async def turns(self, chunk: Chunk) -> list[Turn]:
        """Who speaks when in the next chunk."""
        voices = await self.voices(chunk)
        return await anyio.to_thread.run_sync(self._tracker.follow, voices, limiter=self._threads)


Placed: TypeAlias = list[tuple[Hypothesis, Timeline]]
"""Hypotheses in the order in which they are emitted, and the clock of each one's chunk."""


class Attribution(Protocol):
    """Gives a recording's words to its speakers."""

    async def hear(self, chunk: Chunk) -> None:
        """Listens to the chunk whose hypothesis is taken next, while that is on its way."""

    async def take(self, hypothesis: Hypothesis, chunk: Chunk) -> Placed:
        """Takes a chunk's hypothesis; gives those whose speakers and places are known now."""

    async def finish(self) -> Placed:
        """Ends the recording: gives what waited for it."""


class ByVoice:
    """By the voices: chunk by chunk, or all of them at the end.

    Args:
        threads: Those that may compute.
    """

    def __init__(self, speakers: Speakers, threads: anyio.CapacityLimiter) -> None:
        self._speakers = speakers
        self._threads = threads
        self._names = speakers.names
        self._chunks = ChunkSpeakers(speakers, threads)
        self._turns: list[Turn] = []
        self._voices: list[Voice] = []
        self._waiting: list[tuple[Hypothesis, Sequence[Voice], Timeline]] = []

    async def hear(self, chunk: Chunk) -> None:
        """As `Attribution`."""
        if self._speakers.at_end:
            self._voices = await self._chunks.voices(chunk)
        else:
            self._turns = await self._chunks.turns(chunk)

    async def take(self, hypothesis: Hypothesis, chunk: Chunk) -> Placed:
        """As `Attribution`."""
        if self._speakers.at_end:
            self._waiting.append((hypothesis, self._voices, chunk.timeline))
            return []
        return [(attribute(hypothesis, self._turns, self._names), chunk.timeline)]

    async def finish(self) -> Placed:
        """As `Attribution`."""
        chunks = [voices for _, voices, _ in self._waiting]
        found = await anyio.to_thread.run_sync(
            tell_apart, chunks, self._speakers.options, limiter=self._threads
        )
        return [
            (attribute(hypothesis, turns, self._names), timeline)
            for (hypothesis, _, timeline), turns in zip(self._waiting, found, strict=True)
        ]


class ByChannel:
    """By the channels, each of which is a speaker's; nothing is listened to.

    Args:
        names: Of the speakers, the first channel's first.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._conversation = Conversation(names)

    async def hear(self, chunk: Chunk) -> None:
        """Nothing: the chunk's channel says it."""

    async def take(self, hypothesis: Hypothesis, chunk: Chunk) -> Placed:
        """As `Attribution`."""
        channel, settled = chunk.channel or 0, chunk.settled / SAMPLE_RATE
        return self._conversation.take(channel, hypothesis, chunk.timeline, settled)

    async def finish(self) -> Placed:
        """As `Attribution`."""
        return self._conversation.finish()


async def enrol_all(model: SpeakerModel, references: Iterable[tuple[str, bytes]]) -> tuple[KnownSpeaker, ...]:
    """The known speakers, by each one's name and recording.

    Raises:
        InvalidRequestError: A reference is no audio, too short or too long, or nobody speaks in it.
    """
    return tuple(
        [await anyio.to_thread.run_sync(partial(enrol, model, name, data)) for name, data in references]
    )
