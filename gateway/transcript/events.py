"""Everything that becomes known while speech is transcribed, of recordings and of live sessions.

Text in a `TextDelta` or an `ItemDelta` is never taken back. Times are seconds: of recordings from their
start, of live sessions from the first sample. Each event is defined here and nowhere else;
`gateway.protocol` renders them.
"""

from dataclasses import dataclass

from gateway.errors import GatewayError
from gateway.transcript.types import Segment, Token, Transcript


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of a recording. The bytes of ``tokens`` join to the text's bytes, exactly."""

    text: str
    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class SegmentDone:
    """A segment is final; it follows the delta that carried its text."""

    index: int
    segment: Segment


@dataclass(frozen=True, slots=True)
class TranscriptDone:
    """The recording is transcribed; nothing follows. ``transcript.text`` is the join of all deltas."""

    transcript: Transcript


@dataclass(frozen=True, slots=True)
class Interim:
    """The interim result after the text of all deltas so far; the next `Interim` or `TextDelta` replaces it.

    ``text`` begins with the space that joins it, where one is due: the deltas and it, joined, are what to
    show. It is empty where what was shown turned out to be no text.
    """

    text: str


TranscriptEvent = TextDelta | Interim | SegmentDone | TranscriptDone


@dataclass(frozen=True, slots=True)
class SessionCreated:
    """A live session has begun with these ``settings``, as the protocol keeps them."""

    settings: object


@dataclass(frozen=True, slots=True)
class SessionUpdated:
    """Other settings hold for the audio from here on; ``flat`` as in the `Configure` that it answers."""

    settings: object
    flat: bool = False


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech begins at ``seconds``, the prefix padding included; it will be the item of this id."""

    item_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The item's speech is over at ``seconds``, the silence that ended it included."""

    item_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class BufferCommitted:
    """The audio until ``end`` seconds has become this item; later audio belongs to the next one."""

    item_id: str
    end: float


@dataclass(frozen=True, slots=True)
class BufferCleared:
    """The audio that belonged to no item yet was dropped, as the client asked."""


@dataclass(frozen=True, slots=True)
class TimeoutTriggered:
    """Nobody spoke between the two times; the silence becomes an item."""

    item_id: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class ItemDelta:
    """More text of a live item. Deltas of two items never interleave.

    Attributes:
        logprobs: The client wants the tokens' log-probabilities.
    """

    item_id: str
    text: str
    tokens: tuple[Token, ...]
    logprobs: bool


@dataclass(frozen=True, slots=True)
class ItemSegment:
    """A segment of a live item and its speaker; it follows the delta that carried its text.

    Attributes:
        index: Counts from 0 within the item.
    """

    item_id: str
    index: int
    segment: Segment


@dataclass(frozen=True, slots=True)
class ItemCompleted:
    """The item's final text, which is right where its deltas differ.

    Attributes:
        model: The model's name as the client wrote it.
        logprobs: The client wants the tokens' log-probabilities.
        words: It wants the words' times.
        interrupted: Not its speaker ended it but the server, which ends, too: where the session goes on, the
            item is told once more, whole.
    """

    item_id: str
    transcript: Transcript
    model: str
    logprobs: bool
    words: bool = False
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class ItemFailed:
    """The item has no final text; the session goes on. ``interrupted`` as in `ItemCompleted`."""

    item_id: str
    error: GatewayError
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A mistake of the client: what its event ``event_id`` asked for was not done.

    Many clients end the session when they hear of one, so nothing else is told in this way.
    """

    error: GatewayError
    event_id: str | None


LiveEvent = (
    SessionCreated
    | SessionUpdated
    | SpeechStarted
    | SpeechStopped
    | BufferCommitted
    | BufferCleared
    | TimeoutTriggered
    | ItemDelta
    | ItemSegment
    | ItemCompleted
    | ItemFailed
    | Refused
)
