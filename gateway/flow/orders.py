"""What the turns of a live session ask for: decodes of chunks, and who speaks in them."""

from dataclasses import dataclass
from typing import TypeAlias

from gateway.audio.types import Chunk
from gateway.errors import EngineFailedError, GatewayError
from gateway.flow.options import PartialOptions, Recognition
from gateway.flow.speakers import Speakers
from gateway.flow.utterance import Utterance
from gateway.transcript import Hypothesis
from gateway.transcript.events import LiveEvent


@dataclass(eq=False, slots=True)
class Final:
    """An order: decode this chunk, whatever the load.

    It is complete, or would be if nothing more were said: a pause is decoded ahead, while the silence that
    ends the turn still runs.

    Attributes:
        number: Of the complete chunk in its utterance; None while the chunk may still go on.
        outcome: The engine's answer, once there is one.
        is_done: Nothing more happens to it; without an outcome where it was cancelled.
    """

    utterance: Utterance
    recognition: Recognition
    chunk: Chunk
    number: int | None = None
    outcome: Hypothesis | GatewayError | None = None
    is_done: bool = False

    def serves(self, chunk: Chunk) -> bool:
        """Whether it is of this very chunk, and has not failed for a reason that may pass."""
        if isinstance(self.outcome, GatewayError) and not isinstance(self.outcome, EngineFailedError):
            return False
        return (self.chunk.start, self.chunk.end) == (chunk.start, chunk.end)


@dataclass(eq=False, slots=True)
class Partial:
    """An order: decode the chunk that goes on as it stands, if there is time.

    Attributes:
        number: Of the chunk within its utterance.
        most_tokens: Its text has no more.
    """

    utterance: Utterance
    recognition: Recognition
    options: PartialOptions
    chunk: Chunk
    number: int
    most_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Hear:
    """An order: tell who speaks in this complete chunk; they are given in the order of the session.

    Attributes:
        number: Of the chunk within its utterance.
    """

    utterance: Utterance
    speakers: Speakers
    chunk: Chunk
    number: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """An order: nobody wants that one's outcome any more."""

    order: Final | Partial


Output: TypeAlias = LiveEvent | Final | Partial | Hear | Cancel
"""An event, or an order."""
