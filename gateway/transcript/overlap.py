"""What two chunks both heard, the end of one and the beginning of the next: which words come from which.

A word is heard best where there is speech on both sides of it. So the text goes over from the one chunk to
the other at a word that both have, as near to the middle of what they share as there is one, and the marks
behind that word are the later chunk's, who knows what follows.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TypeAlias

from gateway.transcript.tokens import raw_of, text_of, tokens_after, tokens_before
from gateway.transcript.types import Segment, Token
from gateway.transcript.writing import plain

_AROUND = 6.0
"""Seconds before the cut whose words are looked at, too: where a word is within a segment is a guess."""

_FAR = 4.0
"""Seconds by which two guesses of one word's time differ at most."""

_SAME, _OTHER = 2, -1
"""What a word that both have counts, and one that only one of them has, or that differs."""

_Pair: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Unit:
    """A word, or a character where no spaces are written between words.

    Attributes:
        at: Number of its segment.
        letters: Where its last letter ends, in bytes of the segment; marks may follow, up to ``end``.
        time: Guessed from its place in the segment; seconds of the clock of the chunks' shared part.
    """

    at: int
    letters: int
    end: int
    time: float
    form: str


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a chunk's text, some of which lies in what the next chunk hears, too.

    Attributes:
        before: Segments before it that are told, as far as they are near.
        segments: Those that reach beyond the cut; times are the chunk's.
        cut: From here on the next chunk hears it, too; seconds of this one.
        spaced: Its language writes spaces.
    """

    before: tuple[Segment, ...]
    segments: tuple[Segment, ...]
    cut: float
    spaced: bool

    @classmethod
    def of(cls, segments: Sequence[Segment], cut: float, *, spaced: bool) -> "Tail | None":
        """Of a chunk's segments; None where none reaches beyond the cut."""
        first = next((at for at, segment in enumerate(segments) if segment.end > cut), len(segments))
        if first == len(segments):
            return None
        before = tuple(segment for segment in segments[:first] if segment.end > cut - _AROUND)
        return cls(before, tuple(segments[first:]), cut, spaced)

    @property
    def own(self) -> int:
        """Bytes of its first segment that lie before the cut: no later chunk hears them."""
        return max((unit.letters for unit in self._units[self._told :] if self._is_own(unit)), default=0)

    def joined(self, following: Sequence[Segment]) -> tuple[list[Segment], list[Segment], bool]:
        """Goes over to the segments of the next chunk.

        Returns:
            Segments of this chunk, those of the next one after them, and whether the seam is at a word that
            both have.
        """
        mine = self._units
        if not following or not mine:
            return list(self.segments), list(following), False
        theirs = _units(following, 0.0, spaced=self.spaced)
        near = [unit for unit in theirs if unit.time < mine[-1].time + _FAR]
        known = self._told + sum(self._is_own(unit) for unit in mine[self._told :])
        pairs = _pairs(mine, near, known)
        if seam := self._seam([pair for pair in pairs if pair[0] >= known], mine, near):
            return (*self._over(mine[seam[0]], theirs[seam[1]], following), True)
        return (*self._beside(mine, theirs, known, pairs, following), False)

    @property
    def _units(self) -> list[_Unit]:
        return _units([*self.before, *self.segments], self.cut, spaced=self.spaced)

    @property
    def _told(self) -> int:
        return sum(unit.at < len(self.before) for unit in self._units)

    def _is_own(self, unit: _Unit) -> bool:
        return unit.at == len(self.before) and unit.time < 0

    def _seam(self, pairs: Sequence[_Pair], mine: Sequence[_Unit], theirs: Sequence[_Unit]) -> _Pair | None:
        """The pair nearest to the middle, of those beside another one if there are any."""
        beside = [(i, j) for i, j in pairs if (i - 1, j - 1) in pairs or (i + 1, j + 1) in pairs]
        middle = mine[-1].time / 2

        def distance(pair: _Pair) -> float:
            return abs((mine[pair[0]].time + theirs[pair[1]].time) / 2 - middle)

        return min(beside or pairs, key=distance, default=None)

    def _over(
        self, mine: _Unit, their: _Unit, following: Sequence[Segment]
    ) -> tuple[list[Segment], list[Segment]]:
        """This chunk's text up to a word, the other's after it."""
        at = mine.at - len(self.before)
        marks = tokens_before(
            tokens_after(following[their.at].tokens, their.letters), their.end - their.letters
        )
        head = _marked(_cut(self.segments[at], mine.letters)[0], marks)
        rest = [_cut(following[their.at], their.end)[1], *following[their.at + 1 :]]
        return [*self.segments[:at], head], [segment for segment in rest if segment.text.strip()]

    def _beside(
        self,
        mine: Sequence[_Unit],
        theirs: Sequence[_Unit],
        known: int,
        pairs: Sequence[_Pair],
        following: Sequence[Segment],
    ) -> tuple[list[Segment], list[Segment]]:
        """The texts one after the other, where no word that is still to be told is the same in both."""
        if not theirs:
            return list(self.segments), []
        # What the later chunk leaves out at its beginning, this one has.
        kept = [unit for unit in mine[known:] if unit.time < theirs[0].time and not pairs]
        last = (
            kept[-1] if kept else next((unit for unit in reversed(mine[:known]) if self._is_own(unit)), None)
        )
        head: list[Segment] = []
        if last is not None:
            at = last.at - len(self.before)
            head = [*self.segments[:at], _cut(self.segments[at], last.end)[0]]
        rest = list(following)
        if pairs:
            # It repeats words that were told already.
            their = theirs[max(j for _, j in pairs)]
            rest = [_cut(following[their.at], their.end)[1], *following[their.at + 1 :]]
        return head, [segment for segment in rest if segment.text.strip()]


def _units(segments: Sequence[Segment], zero: float, *, spaced: bool) -> list[_Unit]:
    """The segments' words or characters, in order; times count from ``zero``."""
    units = []
    for at, segment in enumerate(segments):
        total = max(len(segment.text.encode()), 1)
        for match in re.finditer(r"\S+" if spaced else r"\w[^\w]*", segment.text):
            begin = len(segment.text[: match.start()].encode())
            word = match[0].rstrip()
            end = begin + len(word.encode())
            form = plain(word)
            if not any(map(str.isalnum, word)):
                continue
            letters = begin + len(re.sub(r"[\W_]+$", "", word).encode())
            time = segment.start + (segment.end - segment.start) * (begin + end) / 2 / total
            units.append(_Unit(at, letters, end, time - zero, form))
    return units


def _pairs(mine: Sequence[_Unit], theirs: Sequence[_Unit], known: int) -> list[_Pair]:
    """Which words are the same, where an end of the one text is the beginning of the other.

    What counts against it are differences, words of the later text before it, and ``known`` words of the
    earlier one after it; others after it may be what a cut made of words.
    """
    scores = [[_OTHER * j for j in range(len(theirs) + 1)]]
    best = (0, 0, 0)
    for i, one in enumerate(mine, 1):
        scores.append([0] * (len(theirs) + 1))
        for j, other in enumerate(theirs, 1):
            step = scores[i - 1][j - 1] + (_SAME if _is_same(one, other) else _OTHER)
            scores[i][j] = max(step, scores[i - 1][j] + _OTHER, scores[i][j - 1] + _OTHER)
            best = max(best, (scores[i][j] + _OTHER * max(0, known - i), i, j))
    _, i, j = best
    pairs: list[_Pair] = []
    while i and j:
        is_same = _is_same(mine[i - 1], theirs[j - 1])
        if scores[i][j] == scores[i - 1][j - 1] + (_SAME if is_same else _OTHER):
            i, j = i - 1, j - 1
            if is_same:
                pairs.append((i, j))
        elif scores[i][j] == scores[i - 1][j] + _OTHER:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


def _is_same(one: _Unit, other: _Unit) -> bool:
    return one.form == other.form and abs(one.time - other.time) <= _FAR


def _cut(segment: Segment, position: int) -> tuple[Segment, Segment]:
    """The segment in two at a byte of its text; the one or the other may be empty."""
    before, after = tokens_before(segment.tokens, position), tokens_after(segment.tokens, position)
    begins = list(accumulate((len(word.text.encode()) for word in segment.words), initial=0))
    count = sum(begin < position for begin in begins[:-1])
    words, rest = list(segment.words[:count]), segment.words[count:]
    if words:
        own = words[-1].text.encode()[: position - begins[count - 1]]
        words[-1] = replace(words[-1], text=own.decode(errors="ignore"))
    share = position / max(len(segment.text.encode()), 1)
    at = segment.start + (segment.end - segment.start) * share
    end = words[-1].end if words else at
    start = rest[0].start if rest else max(at, end)
    return (
        replace(segment, end=end, text=text_of(before), tokens=tuple(before), words=tuple(words)),
        replace(segment, start=start, text=text_of(after), tokens=tuple(after), words=rest),
    )


def _marked(segment: Segment, marks: Sequence[Token]) -> Segment:
    """The segment with marks behind its last word."""
    if not marks:
        return segment
    tokens = (*segment.tokens, *marks)
    words = segment.words
    if words:
        words = (*words[:-1], replace(words[-1], text=words[-1].text + text_of(marks)))
    return replace(segment, text=raw_of(tokens).decode(errors="replace"), tokens=tokens, words=words)
