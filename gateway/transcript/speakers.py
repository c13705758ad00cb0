"""Whose words they are: segments split at turns, by their words' times, and speakers named."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, groupby, product
from string import ascii_uppercase
from typing import TypeAlias

from gateway.transcript.tokens import raw_of
from gateway.transcript.types import Hypothesis, Segment, Token, Word

Speaker: TypeAlias = int | str
"""A stranger's number, or the name of a known speaker."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody speaks. Times are seconds from the chunk's first sample."""

    start: float
    end: float
    speaker: Speaker


def letters(known: Sequence[str]) -> Iterator[str]:
    """``A``, ``B``, … ``AA``: what strangers are called who have none of the known names."""
    names = ("".join(name) for length in count(1) for name in product(ascii_uppercase, repeat=length))
    return (name for name in names if name not in known)


class SpeakerNames:
    """What speakers are called: the known by their names, strangers ``A``, ``B``, … as they come.

    Args:
        known: Names that no stranger gets.
    """

    def __init__(self, known: Sequence[str] = ()) -> None:
        self._free = letters(known)
        self._strangers: dict[int, str] = {}
        self.latest: Speaker = 0
        """Who was named last."""

    def name(self, speaker: Speaker) -> str:
        """The speaker's name, always the same."""
        self.latest = speaker
        if isinstance(speaker, str):
            return speaker
        if speaker not in self._strangers:
            self._strangers[speaker] = next(self._free)
        return self._strangers[speaker]


def attribute(hypothesis: Hypothesis, turns: Sequence[Turn], names: SpeakerNames) -> Hypothesis:
    """The hypothesis of a chunk with its speakers; where one segment has several, it is split between words.

    Args:
        turns: The chunk's, in order of time. Without any, whoever spoke last goes on.
    """
    turns = turns or [Turn(0.0, 0.0, names.latest)]
    parts = (part for segment in hypothesis.segments for part in _split(segment, turns, names))
    return replace(hypothesis, segments=tuple(parts))


def _split(segment: Segment, turns: Sequence[Turn], names: SpeakerNames) -> list[Segment]:
    speakers = [_nearest(turns, word.start, word.end) for word in segment.words]
    runs = [list(run) for _, run in groupby(zip(speakers, segment.words, strict=True), lambda pair: pair[0])]
    parts = parted(segment, [[word for _, word in run] for run in runs])
    if len(parts) < 2:
        speaker = runs[0][0][0] if len(runs) == 1 else _nearest(turns, segment.start, segment.end)
        return [replace(segment, speaker=names.name(speaker))]
    return [replace(part, speaker=names.name(run[0][0])) for part, run in zip(parts, runs, strict=True)]


def parted(segment: Segment, runs: Sequence[Sequence[Word]]) -> list[Segment]:
    """The segment, split into runs of its words; as it is where its tokens cannot be split so."""
    tokens = _tokens_of(segment.tokens, runs)
    if len(runs) < 2 or tokens is None:
        return [segment]
    return [
        replace(
            segment,
            start=run[0].start if number else segment.start,
            end=run[-1].end if number < len(runs) - 1 else segment.end,
            text="".join(word.text for word in run),
            tokens=own,
            words=tuple(run),
        )
        for number, (run, own) in enumerate(zip(runs, tokens, strict=True))
    ]


def _tokens_of(tokens: Sequence[Token], runs: Sequence[Sequence[Word]]) -> list[tuple[Token, ...]] | None:
    """The tokens of each run of words; None where words and tokens do not join to the same text."""
    rest = list(tokens)
    shares = []
    for run in runs:
        raw = "".join(word.text for word in run).encode()
        share: list[Token] = []
        while rest and len(raw_of(share)) < len(raw):
            share.append(rest.pop(0))
        if raw_of(share) != raw:
            return None
        shares.append(tuple(share))
    return shares if not rest else None


def _nearest(turns: Sequence[Turn], start: float, end: float) -> Speaker:
    """Who speaks most of the time between, or, where nobody does, next to it."""

    def closeness(turn: Turn) -> float:
        return min(turn.end, end) - max(turn.start, start)

    shares: dict[Speaker, float] = {}
    for turn in turns:
        if (share := closeness(turn)) > 0:
            shares[turn.speaker] = shares.get(turn.speaker, 0.0) + share
    if shares:
        return max(shares, key=shares.__getitem__)
    return max(turns, key=closeness).speaker
