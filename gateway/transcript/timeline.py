"""From the seconds of what an engine was given to those of the recording it was taken from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.transcript.types import Segment


@dataclass(frozen=True, slots=True)
class Stretch:
    """What follows without a gap, in seconds of the recording; silence around the speech in it is kept.

    Attributes:
        start: Of its first sample.
        end: After its last one.
        onset: Where speech begins in it.
        offset: Where speech ends in it.
    """

    start: float
    end: float
    onset: float
    offset: float

    @classmethod
    def plain(cls, start: float, end: float) -> "Stretch":
        """One of which nobody knows where speech is."""
        return cls(start, end, onset=start, offset=end)


class Timeline:
    """The clock of a chunk that holds one stretch of a recording, or several between which pauses are cut.

    Attributes:
        cut: Seconds from the chunk's first sample to the first speech that the next chunk has, too; None
            where they share none.
    """

    def __init__(self, stretches: Sequence[Stretch], cut: float | None = None) -> None:
        self._stretches = list(stretches)
        self.cut = cut

    @property
    def start(self) -> float:
        """Seconds from the recording's start to the chunk's first sample."""
        return self._stretches[0].start

    def at(self, seconds: float) -> float:
        """The recording's second of one of the chunk's, which is put within it."""
        left = max(seconds, 0.0)
        for stretch in self._stretches:
            if left < stretch.end - stretch.start:
                return stretch.start + left
            left -= stretch.end - stretch.start
        return self._stretches[-1].end

    def between(self, start: float, end: float) -> tuple[float, float]:
        """What is said between two of the chunk's seconds, as seconds of the recording.

        Engines begin a word after a pause within the pause: it begins where speech does, if that is before
        its end.
        """
        first, last = self.at(start), self.at(end)
        silent = self.start
        for stretch in self._stretches:
            if silent <= first < stretch.onset < last:
                return stretch.onset, last
            silent = stretch.offset
        return first, last


def placed(segment: Segment, timeline: Timeline) -> Segment:
    """A chunk's segment with times from the recording's start."""
    start, end = timeline.between(segment.start, segment.end)
    words = []
    for word in segment.words:
        begin, stop = timeline.between(word.start, word.end)
        words.append(replace(word, start=begin, end=stop))
    return replace(segment, start=start, end=end, seek=round(timeline.start * 100), words=tuple(words))
