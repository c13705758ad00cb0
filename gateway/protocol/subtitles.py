"""Subtitles fit to publish: a transcript cut into cues that can be read in time, written as SRT or WebVTT."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import inf

from pydantic import BaseModel, ConfigDict, Field

from gateway.protocol.pieces import PAUSE_MS, SENTENCE_END, Piece, pieces_of, seam, tidy, width_of
from gateway.transcript import Segment

# Prices of a cue, in the unit of a break's: found by trying them on the examples of the tests.
_PER_CUE = 6.0
_PER_BREAK = 3.0  # times that of the break
_PER_SECOND_OF_PAUSE = 25.0
_PER_SECOND_SHORT = 8.0
_WHEN_NEARLY_EMPTY = 10.0
_MIXED = 15.0  # a whole sentence beside a part of one

_FRAME_MS = 40
"""One frame of 25 a second: of cues that begin within it only the last would be seen."""


class SubtitleStyle(BaseModel):
    """How cues are cut: form fields of ours beside OpenAI's, the first two named as in Whisper's own CLI.

    The defaults are those of Netflix's "English Template Timed Text Style Guide": 42 characters, 2 lines, 5/6
    to 7 seconds, 17 characters a second, two frames (of 24 a second) between cues. Characters are columns: a
    Chinese one counts as two, for the line and for the reading speed.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    max_line_width: int = Field(42, ge=8, le=80)
    max_line_count: int = Field(2, ge=1, le=3)
    max_cue_seconds: float = Field(7.0, ge=2, le=30, allow_inf_nan=False)
    min_cue_seconds: float = Field(0.833, ge=0, le=2, allow_inf_nan=False)
    max_chars_per_second: float = Field(17.0, ge=5, le=100, allow_inf_nan=False)
    min_gap_seconds: float = Field(0.083, ge=0, le=1, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Cue:
    """What stands on the screen at once.

    Attributes:
        start: Seconds from the recording's start, a whole number of milliseconds; so is ``end``.
        lines: Without the speaker's name, unescaped.
    """

    start: float
    end: float
    lines: tuple[str, ...]
    speaker: str | None


def make_cues(segments: Sequence[Segment], style: SubtitleStyle) -> list[Cue]:
    """Cuts a transcript into cues that never overlap; every word comes exactly once, in order.

    A cue begins with its first word (later only where earlier cues leave it no time) and stays after its last
    one as long as reading takes and the next cue allows. Speech too fast to read stays too fast: no word is
    dropped or moved. The first line leaves room for the speaker's name in front, up to half its width.
    """
    groups = _groups(pieces_of(segments, style.max_line_width), style)
    spans = _spans(groups, style)
    return [
        Cue(start / 1000, end / 1000, _lines(group, style), group[0].speaker)
        for group, (start, end) in zip(groups, spans, strict=True)
    ]


def to_srt(cues: Iterable[Cue]) -> str:
    """SubRip: speakers as prefix; "-->" in text becomes an arrow, as players look for times in every line."""
    blocks = []
    for number, cue in enumerate(filter(_text, cues), start=1):
        times = f"{_timestamp(cue.start, ',')} --> {_timestamp(cue.end, ',')}"
        text = (_label(cue.speaker) + _text(cue)).replace("-->", "→")
        blocks.append(f"{number}\n{times}\n{text}\n\n")
    return "".join(blocks)


def to_vtt(cues: Iterable[Cue]) -> str:
    """WebVTT: speakers as voice tags, text escaped.

    Source: W3C WebVTT, section 4 (syntax).
    """
    blocks = ["WEBVTT\n\n"]
    for cue in filter(_text, cues):
        times = f"{_timestamp(cue.start, '.')} --> {_timestamp(cue.end, '.')}"
        blocks.append(f"{times}\n{_voice(cue.speaker)}{_escape(_text(cue))}\n\n")
    return "".join(blocks)


def _groups(pieces: Sequence[Piece], style: SubtitleStyle) -> list[Sequence[Piece]]:
    """The cheapest partition into cues, by dynamic programming over the place of the last cut."""
    breaks = [seam(left, right) for left, right in pairwise(pieces)] + [0]
    cheapest = [0.0] + [inf] * len(pieces)
    begins = [0] * (len(pieces) + 1)
    for first in range(len(pieces)):
        for stop, price in _prices(pieces, first, breaks, style):
            if cheapest[first] + price < cheapest[stop]:
                cheapest[stop], begins[stop] = cheapest[first] + price, first
    groups: list[Sequence[Piece]] = []
    stop = len(pieces)
    while stop:
        groups.append(pieces[begins[stop] : stop])
        stop = begins[stop]
    return groups[::-1]


def _prices(
    pieces: Sequence[Piece], first: int, breaks: Sequence[int], style: SubtitleStyle
) -> Iterator[tuple[int, float]]:
    """Each cue that may begin with this piece: the index behind its last piece, and its price."""
    head = pieces[first]
    widths = _line_widths(head.speaker, style)
    capacity = sum(widths)
    begins_inside = first > 0 and breaks[first - 1] != SENTENCE_END
    line = used = total = pauses = sentences = 0
    for index in range(first, len(pieces)):
        piece = pieces[index]
        space = 0
        if index > first:
            if piece.speaker != head.speaker or piece.end - head.start > style.max_cue_seconds * 1000:
                return
            space = int(piece.spaced)
            pause = piece.start - pieces[index - 1].end
            pauses += pause if pause >= PAUSE_MS else 0
            sentences += breaks[index - 1] == SENTENCE_END
        total += space + piece.width
        used += space + piece.width
        # Filling line by line needs the fewest lines, so what does not fit here fits in no way.
        if index > first and used > widths[line]:
            line, used = line + 1, piece.width
            if line == len(widths):
                return
        room = pieces[index + 1].start - head.start if index + 1 < len(pieces) else inf
        ends_inside = breaks[index] != SENTENCE_END
        yield (
            index + 1,
            _PER_CUE
            + _PER_BREAK * breaks[index]
            + _PER_SECOND_OF_PAUSE * pauses / 1000
            + _PER_SECOND_SHORT * max(0, _reading_ms(total, style) - room) / 1000
            + _WHEN_NEARLY_EMPTY * max(0, 1 - total / capacity) ** 2
            + _MIXED * (sentences > 0 and (begins_inside or ends_inside)),
        )


def _spans(groups: Sequence[Sequence[Piece]], style: SubtitleStyle) -> list[tuple[int, int]]:
    """Start and end of each cue in milliseconds: ends after they start, before the next one starts."""
    needed = [_reading_ms(width_of(_line(group)), style) for group in groups]
    starts = _starts([group[0].start for group in groups], needed)
    gap = round(style.min_gap_seconds * 1000)
    shortest, longest = round(style.min_cue_seconds * 1000), round(style.max_cue_seconds * 1000)
    spans = []
    for index, start in enumerate(starts):
        spoken = max(piece.end for piece in groups[index])
        end = min(max(spoken, start + needed[index], start + 1), start + longest)
        if index + 1 < len(starts):
            room = starts[index + 1] - start
            end = min(end, start + (room - gap if room - gap >= max(shortest, 1) else room))
        spans.append((start, end))
    return spans


def _starts(spoken: Sequence[int], needed: Sequence[int]) -> list[int]:
    """When the cues begin: with their words, but cues that begin at once share the time until the next one.

    That happens where an aligner puts many words on one instant. No two cues begin at the same time.
    """
    starts: list[int] = []
    while len(starts) < len(spoken):
        first = len(starts)
        stop = next(
            (at for at in range(first, len(spoken)) if spoken[at] - spoken[first] >= _FRAME_MS), len(spoken)
        )
        wanted = sum(needed[first:stop])
        room = spoken[stop] - spoken[first] if stop < len(spoken) else inf
        share = min(1.0, room / wanted) if stop - first > 1 and wanted else 1.0
        for before in accumulate(needed[first : stop - 1], initial=0):
            earliest = starts[-1] + 1 if starts else 0
            starts.append(max(earliest, spoken[len(starts)], round(spoken[first] + share * before)))
    return starts


def _lines(group: Sequence[Piece], style: SubtitleStyle) -> tuple[str, ...]:
    """As few lines as will do, about equally long, broken where the sense breaks."""
    widths = iter(_line_widths(group[0].speaker, style))
    stops: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    while len(group) not in stops:
        width = next(widths)
        reached: dict[int, tuple[float, tuple[int, ...]]] = {}
        for first, (price, cuts) in stops.items():
            for stop, line_price in _line_prices(group, first, width):
                if price + line_price < reached.get(stop, (inf,))[0]:
                    reached[stop] = (price + line_price, (*cuts, stop))
        stops = reached
    return tuple(_line(group[first:stop]) for first, stop in pairwise((0, *stops[len(group)][1])))


def _line_prices(group: Sequence[Piece], first: int, width: int) -> Iterator[tuple[int, float]]:
    used = 0
    for stop in range(first + 1, len(group) + 1):
        piece = group[stop - 1]
        used += piece.width + (piece.spaced if stop - first > 1 else 0)
        if used > width and stop - first > 1:
            return
        price = seam(piece, group[stop]) if stop < len(group) else 0
        yield stop, (width - used) ** 2 / width + price


def _line(pieces: Sequence[Piece]) -> str:
    return pieces[0].text + "".join(" " * piece.spaced + piece.text for piece in pieces[1:])


def _line_widths(speaker: str | None, style: SubtitleStyle) -> list[int]:
    """Columns for text, line by line: the first shares its line with the name."""
    widest = style.max_line_width
    return [max(widest - width_of(_label(speaker)), widest // 2), *[widest] * (style.max_line_count - 1)]


def _reading_ms(width: int, style: SubtitleStyle) -> int:
    """How long a cue of so many columns should stay."""
    seconds = max(width / style.max_chars_per_second, style.min_cue_seconds)
    return round(min(seconds, style.max_cue_seconds) * 1000)


def _label(speaker: str | None) -> str:
    name = tidy(speaker or "")
    return f"{name}: " if name else ""


def _voice(speaker: str | None) -> str:
    name = tidy(speaker or "")
    return f"<v {_escape(name)}>" if name else ""


def _text(cue: Cue) -> str:
    """The lines without blank ones, for a blank line ends a cue."""
    return "\n".join(line for line in map(tidy, cue.lines) if line)


def _escape(text: str) -> str:
    """The text with the characters that WebVTT gives a meaning as references; that covers "-->" too."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _timestamp(seconds: float, point: str) -> str:
    """Hours have two digits or more."""
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"
