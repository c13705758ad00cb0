"""How a transcript becomes known while it is made. Text sent in a `TextDelta` is never taken back."""

from dataclasses import dataclass

from gateway.transcript.types import Segment, Token, Transcript


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text. The bytes of ``tokens`` join to the text's bytes, exactly."""

    text: str
    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class SegmentDone:
    """A segment is final; it follows the delta that carried its text."""

    index: int
    segment: Segment


@dataclass(frozen=True, slots=True)
class TranscriptDone:
    """Nothing follows. ``transcript.text`` is the join of all deltas."""

    transcript: Transcript


@dataclass(frozen=True, slots=True)
class Interim:
    """What is heard behind the text of all deltas so far; the next `Interim` or `TextDelta` takes its place.

    ``text`` begins with the space that joins it, where one is due: the deltas and it, joined, are what to
    show. It is empty where what was shown turned out to be no text.
    """

    text: str


TranscriptEvent = TextDelta | Interim | SegmentDone | TranscriptDone
