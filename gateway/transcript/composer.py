"""Puts the hypotheses of consecutive chunks together into one text that only ever grows."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from gateway.transcript.beginning import Beginning
from gateway.transcript.events import SegmentDone, TextDelta
from gateway.transcript.overlap import Tail
from gateway.transcript.seams import (
    beginning_small,
    first_word,
    goes_on,
    in_small_letters,
    is_stop,
    without_stop,
)
from gateway.transcript.timeline import Timeline, placed
from gateway.transcript.tokens import (
    leading_space,
    raw_of,
    stripped,
    text_of,
    tokens_after,
    tokens_before,
    with_raw,
)
from gateway.transcript.types import Hypothesis, Segment, Token
from gateway.transcript.writing import ends_sentence, is_spaced

Composed: TypeAlias = TextDelta | SegmentDone


@dataclass(slots=True)
class Composer:
    """Takes hypotheses in chunk order, gives the events they cause, and remembers what the next one needs.

    The text begins with its first letter, has one space between segments where the language writes any, and
    no space at its end, whatever spaces the engine put around its tokens. What a chunk shares with the next
    one waits for that. Where they share nothing, a full stop at a chunk's end is held back until the next one
    begins, and left out where that goes on with the sentence.
    """

    _count: int = 0
    """Segments so far."""
    _latest: str = ""
    """The last delta."""
    _speaker: str | None = None
    """Whose the last segment is."""
    _owes_space: bool = False
    _held: tuple[Token, ...] = ()
    """The full stop of the last segment, which is not done before."""
    _open: Segment | None = None
    """That segment."""
    _tail: tuple[Tail, Timeline] | None = None
    """Segments that wait for the next chunk, and their chunk's clock."""
    _beginning: Beginning | None = None
    """What was emitted of the chunk that comes next."""
    _told: int = 0
    """So many bytes of what is added next are emitted already."""
    _small: set[str] = field(default_factory=set)
    """Words that were written with a small first letter."""

    def copied(self) -> "Composer":
        """Another one, which goes on from here by itself."""
        return replace(self, _small=set(self._small))

    def add(self, hypothesis: Hypothesis, timeline: Timeline) -> list[Composed]:
        """Appends a chunk, whose clock is ``timeline``."""
        spaced = is_spaced(hypothesis.language)
        segments = [segment for segment in hypothesis.segments if stripped(segment.tokens)]
        if self._beginning is not None:
            segments = self._beginning.continued(segments, spaced=spaced)
            self._told, self._beginning = len(raw_of(self._beginning.tokens)), None
        segments, events, seamless = self._after_tail(segments)
        if not seamless:
            if segments and spaced:
                segments[0], more = self._after_chunk(segments[0])
                events += more
            elif segments:
                events += self._release_stop()
            self._owes_space |= spaced
        tail = None if timeline.cut is None else Tail.of(segments, timeline.cut, spaced=spaced)
        whole = segments[: len(segments) - len(tail.segments)] if tail else segments
        for number, segment in enumerate(whole, 1):
            is_last = number == len(segments)
            events += self._add_segment(placed(segment, timeline), holds_stop=spaced and is_last)
        if tail:
            self._tail = tail, timeline
            events += self._tell(tail.segments[0], tail.own)
        return events

    def begin(self, segment: Segment, tokens: Sequence[Token], *, spaced: bool) -> list[Composed]:
        """Emits the words that are sure enough of a hypothesis of the next chunk's beginning.

        Args:
            segment: Its first one.
            tokens: All of its text, as it follows here.
        """
        self._beginning = Beginning.of(segment, tokens, spaced=spaced)
        return self._delta(self._beginning.tokens) if self._beginning else []

    def flush(self) -> list[Composed]:
        """Gives what was held back: nothing is known to follow."""
        _, events, _ = self._after_tail([])
        return [*events, *self._release_stop()]

    def _after_tail(self, following: Sequence[Segment]) -> tuple[list[Segment], list[Composed], bool]:
        """Ends what waited for these segments; gives those that follow, and whether without a seam."""
        if self._tail is None:
            return list(following), [], False
        (tail, timeline), self._tail = self._tail, None
        own, rest, seamless = tail.joined(following)
        events: list[Composed] = []
        for number, segment in enumerate(own, 1):
            is_last = number == len(own) and not seamless
            events += self._add_segment(placed(segment, timeline), holds_stop=tail.spaced and is_last)
        return rest, events, seamless

    def _after_chunk(self, segment: Segment) -> tuple[Segment, list[Composed]]:
        """A chunk's first segment as it follows on the text so far, whose last segment this ends."""
        if self._count and self._speaker != segment.speaker:
            return segment, self._release_stop()  # nobody goes on with another's sentence
        if self._open is not None and goes_on(segment.text):
            self._held, self._open = (), without_stop(self._open)
            return segment, self._release_stop()
        is_within = not self._held and self._latest and not ends_sentence(self._latest)
        if is_within and in_small_letters(first_word(segment.text)) in self._small:
            segment = beginning_small(segment)
        return segment, self._release_stop()

    def _release_stop(self) -> list[Composed]:
        stop, self._held = self._held, ()
        segment, self._open = self._open, None
        return [] if segment is None else [*self._delta(stop), SegmentDone(self._count - 1, segment)]

    def _add_segment(self, segment: Segment, *, holds_stop: bool) -> list[Composed]:
        tokens = self._following(segment)
        self._owes_space = segment.text[-1:].isspace()
        self._count += 1
        self._speaker = segment.speaker
        if holds_stop and len(tokens) > 1 and is_stop(tokens[-1]):
            self._held, self._open = (tokens.pop(),), segment
            return self._delta(tokens)
        return [*self._delta(tokens), SegmentDone(self._count - 1, segment)]

    def _tell(self, segment: Segment, count: int) -> list[Composed]:
        """Emits so many bytes of the segment that is added next."""
        tokens = self._following(segment)
        head = tokens_before(tokens, count - leading_space(segment.tokens) + leading_space(tokens))
        told = self._told
        events = self._delta(head)
        self._told = max(told, len(raw_of(head)))
        return events

    def _following(self, segment: Segment) -> list[Token]:
        """The segment's tokens as they follow the text before; none where it is blank."""
        tokens = stripped(segment.tokens)
        if tokens and self._count and (self._owes_space or segment.text[:1].isspace()):
            tokens[0] = with_raw(tokens[0], b" " + tokens[0].raw)
        return tokens

    def _delta(self, tokens: Sequence[Token]) -> list[Composed]:
        told = min(self._told, len(raw_of(tokens)))
        self._told -= told
        new = tuple(tokens_after(tokens, told))
        if not new:
            return []
        self._latest = text_of(new)
        self._small.update(word for word in self._latest.split() if word[0].islower())
        return [TextDelta(self._latest, new)]
