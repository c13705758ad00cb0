"""What was said: tokens, words, segments, and the events by which they become known. Imports errors only."""

from gateway.transcript.assembler import Assembler
from gateway.transcript.events import Interim, SegmentDone, TextDelta, TranscriptDone, TranscriptEvent
from gateway.transcript.types import Hypothesis, Segment, Token, Transcript, Word

__all__ = [
    "Assembler",
    "Hypothesis",
    "Interim",
    "Segment",
    "SegmentDone",
    "TextDelta",
    "Token",
    "Transcript",
    "TranscriptDone",
    "TranscriptEvent",
    "Word",
]
