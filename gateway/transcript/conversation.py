"""What is said on the channels of a recording, put in order of time; each channel is a speaker."""

from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, islice

from gateway.transcript.speakers import letters, parted
from gateway.transcript.timeline import Timeline
from gateway.transcript.types import Hypothesis, Segment, Word

PAUSE_SECONDS = 0.3
"""Between two words of a segment, in which somebody else may begin."""


@dataclass(frozen=True, slots=True, order=True)
class _Part:
    """Words of a segment without a pause between them, and when they begin in the recording."""

    start: float
    channel: int
    number: int
    segment: Segment = field(compare=False)
    source: Segment = field(compare=False)
    hypothesis: Hypothesis = field(compare=False)
    timeline: Timeline = field(compare=False)


class Conversation:
    """Hypotheses of channels in, each channel's in order; out come all, in the order in which they are said.

    Segments are split where another channel begins in one of their pauses, and nowhere else.

    Args:
        names: Of the speakers, the first channel's first; the others are letters, by their channel.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._names = names
        self._parts: list[_Part] = []
        self._taken = 0

    def take(
        self, channel: int, hypothesis: Hypothesis, timeline: Timeline, settled: float
    ) -> list[tuple[Hypothesis, Timeline]]:
        """Takes a chunk's hypothesis; gives what nothing comes before any more.

        Args:
            timeline: The chunk's clock.
            settled: Second of the recording before which nothing more comes of any channel.
        """
        name = self._name(channel)
        for segment in hypothesis.segments:
            spoken = replace(segment, speaker=name)
            for part in parted(spoken, list(_runs(spoken.words, timeline))):
                start, _ = timeline.between(part.start, part.end)
                self._taken += 1
                known = replace(hypothesis, segments=(), prompt_tokens=0)
                insort(self._parts, _Part(start, channel, self._taken, part, spoken, known, timeline))
        # Its prompt is counted now, whenever its words come.
        counted = (replace(hypothesis, segments=()), timeline)
        return [counted, *self._given(sum(part.start < settled for part in self._parts))]

    def finish(self) -> list[tuple[Hypothesis, Timeline]]:
        """Gives what is left."""
        return self._given(len(self._parts))

    def _given(self, count: int) -> list[tuple[Hypothesis, Timeline]]:
        given, self._parts = self._parts[:count], self._parts[count:]
        whole = [list(parts) for _, parts in groupby(given, lambda part: id(part.source))]
        return [
            (replace(first.hypothesis, segments=(_joined([part.segment for part in parts]),)), first.timeline)
            for parts in whole
            for first in parts[:1]
        ]

    def _name(self, channel: int) -> str:
        if channel < len(self._names):
            return self._names[channel]
        return next(islice(letters(self._names), channel, None))


def _runs(words: Sequence[Word], timeline: Timeline) -> Iterator[list[Word]]:
    """The words between pauses, those that were cut out among them."""
    run: list[Word] = []
    for word in words:
        if run:
            # From start to start: a word may end where a pause is cut out, and that second is after it, too.
            apart = timeline.at(word.start) - timeline.at(run[-1].start)
            if apart - (run[-1].end - run[-1].start) >= PAUSE_SECONDS:
                yield run
                run = []
        run.append(word)
    if run:
        yield run


def _joined(parts: Sequence[Segment]) -> Segment:
    """Neighbouring parts of a segment as one."""
    return replace(
        parts[0],
        end=parts[-1].end,
        text="".join(part.text for part in parts),
        tokens=tuple(token for part in parts for token in part.tokens),
        words=tuple(word for part in parts for word in part.words),
    )
