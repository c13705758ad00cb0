"""What a live session says while people speak. Text in a `Delta` is never taken back.

Seconds count from the session's first sample.
"""

from dataclasses import dataclass

from gateway.errors import GatewayError
from gateway.transcript import Token, Transcript


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """An utterance began; the prefix padding is counted in."""

    item: str
    seconds: float


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """Its speech is over; the silence that showed it is counted in."""

    item: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Committed:
    """No more audio belongs to the item."""

    item: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was not committed is forgotten."""


@dataclass(frozen=True, slots=True)
class Configured:
    """Other options hold from here on; ``settings`` are what they come from, for whoever asked."""

    settings: object


@dataclass(frozen=True, slots=True)
class IdleTimedOut:
    """Nobody spoke between the two times; the silence becomes an item."""

    item: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Delta:
    """More of the item's text. Deltas of two items never interleave. ``logprobs``: the tokens have them."""

    item: str
    text: str
    tokens: tuple[Token, ...]
    logprobs: bool


@dataclass(frozen=True, slots=True)
class Completed:
    """The item's final text; ``model`` as the client names it."""

    item: str
    transcript: Transcript
    model: str
    logprobs: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """The item has no final text; the session goes on."""

    item: str
    error: GatewayError


@dataclass(frozen=True, slots=True)
class Refused:
    """What the client asked for in ``event_id`` was not done."""

    error: GatewayError
    event_id: str | None


LiveEvent = (
    SpeechStarted
    | SpeechStopped
    | Committed
    | Cleared
    | Configured
    | IdleTimedOut
    | Delta
    | Completed
    | Failed
    | Refused
)
