"""A transcript's text as pieces between which a subtitle may break: when each was said, what breaks cost."""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from gateway.transcript import Segment

PAUSE_MS = 500
"""Silence from which on a break between two words is heard as one."""

SENTENCE_END, CLAUSE_END, AT_PAUSE, BEFORE_PHRASE, ANYWHERE, INSIDE_PHRASE = 0, 3, 6, 8, 12, 30
"""What a break costs, cheapest first; the order is that of subtitling guides, the steps suit `subtitles`."""

# Chinese, Japanese, Thai, Lao, Burmese, Khmer: written without spaces. Korean is wide but has spaces.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\uff00-\uff9f\U00020000-\U0003ffff]"
)
# No-break spaces stay: French puts them before its punctuation.
_BLANKS = re.compile(r"(?:[^\S\u00a0\u2007\u202f]|[\x00-\x1f\x7f-\x9f\ufeff])+")
_LETTER = re.compile(r"\w")
_CORE = re.compile(r"\w(?:.*\w)?")

# Includes the small kana and the Thai vowels that are written behind their consonant.
_NEVER_FIRST = frozenset(
    "!?.,:;…%€°)]}»›”’、。，．！？：；）］｝」』】〉》ー～々〜"  # noqa: RUF001 - wide punctuation is meant
    "っゃゅょァィゥェォッャュョぁぃぅぇぉะาำๅๆฯ"
)
_NEVER_LAST = frozenset("([{«‹„“‘¿¡（［｛「『【〈《เแโใไ")  # noqa: RUF001 - wide brackets and quotes are meant

_OPENING = "".join(_NEVER_LAST) + "\"'"

_SENTENCE = re.compile(r"[.!?…。！？؟।][\"'”’“»«)\]」』]*$")  # noqa: RUF001 - wide punctuation is meant
_CLAUSE = re.compile(r"[,;:、，；：،–—][\"'”’“»«)\]」』]*$")  # noqa: RUF001 - wide punctuation and dashes are meant
# Titles, initials and German ordinals: "Dr. Who", "J. S. Bach", "am 3. Oktober".
_ABBREVIATION = re.compile(
    r"\W*(?:mr|mrs|ms|dr|prof|st|jr|vs|bzw|ca|nr|hr|fr|sr|sra|srta|ud|uds|mme|[^\W\d_]|\d{1,2})\.",
    re.IGNORECASE,
)
_LEANING = frozenset(
    (
        "a an the of to in on at by for from with into about than as and or but because that which who when "
        "where while if so i you he she it we they my your his her its our their this these is are was were "
        "der die das den dem des ein eine einen einem einer und oder aber weil dass wenn ob mit von vom für "
        "auf aus bei nach zu zum zur im am um ich du er sie es wir ihr mein dein sein "
        "el la los las un una unos unas del al y o pero porque que cuando donde con por para sin sobre de mi "
        "tu su le les une du au aux et ou mais où dans sur avec pour par je il elle nous vous ils"
    ).split()
)
"""Articles, prepositions, conjunctions and pronouns of English, German, Spanish and French: they lean on the
word behind them, so a line breaks better before than after them."""

_SLACK = 16
"""Characters that may stand between two words of an engine that leaves punctuation out of its words."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that stays on one line.

    Attributes:
        text: Never blank, without white space at its ends.
        width: Columns; see `width_of`.
        start: Milliseconds from the recording's start; never decreases from piece to piece.
        end: Milliseconds, not before ``start``.
        spaced: Whether a space stands before it where it is not first on its line.
    """

    text: str
    width: int
    start: int
    end: int
    spaced: bool
    speaker: str | None


def tidy(text: str) -> str:
    """The text on one line: white space and control characters become single spaces, none at the ends."""
    return _BLANKS.sub(" ", text).strip()


def width_of(text: str) -> int:
    """Columns: East Asian wide characters take two, combining and invisible ones none (UAX #11)."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def pieces_of(segments: Sequence[Segment], max_width: int) -> list[Piece]:
    """All text of the segments, in their order; times that run backwards are moved forwards.

    Args:
        max_width: Columns; a wider word is cut, punctuation that stands alone joins its word up to there.
    """
    pieces: list[Piece] = []
    latest = 0
    for segment in segments:
        for piece in _pieces_of_segment(segment, max_width):
            latest = max(latest, piece.start)
            timed = replace(piece, start=latest, end=max(latest, piece.end))
            joined = _joined(pieces[-1], timed) if pieces and _belong(pieces[-1], timed) else timed
            if joined is not timed and joined.width <= max_width:
                pieces[-1] = joined
            else:
                pieces.append(timed)
    return pieces


def seam(left: Piece, right: Piece) -> int:
    """What a break between two neighbours costs: one of the constants above."""
    starts_small = right.text.lstrip(_OPENING)[:1].islower()
    if _SENTENCE.search(left.text) and not _ABBREVIATION.fullmatch(left.text.split()[-1]):
        if not starts_small:
            return SENTENCE_END
        if left.text[-1] != ".":
            return CLAUSE_END
    if _CLAUSE.search(left.text):
        return CLAUSE_END
    if right.start - left.end >= PAUSE_MS:
        return AT_PAUSE
    if left.text.casefold() in _LEANING:
        return INSIDE_PHRASE
    return BEFORE_PHRASE if right.text.casefold() in _LEANING else ANYWHERE


class _Clock:
    """When each character of a segment's text was spoken: known at its words, between them by characters."""

    def __init__(self, segment: Segment, text: str) -> None:
        start = max(0, round(segment.start * 1000))
        end = max(start, round(segment.end * 1000))
        self._text = text
        self._positions: list[int] = []
        times: list[int] = []
        at = 0
        for word in segment.words:
            core = _core(tidy(word.text))
            # What is found further off is another word.
            found = text.find(core, at, at + len(core) + _SLACK) if core else -1
            if found >= 0:
                at = found + len(core)
                self._positions += [found, at]
                times += [min(max(round(time * 1000), start), end) for time in (word.start, word.end)]
        self.word_starts = frozenset(self._positions[::2])
        if not times:
            core_of_text = _CORE.search(text)
            self._positions = list(core_of_text.span() if core_of_text else (0, len(text)))
            times = [start, end]
        self._known = frozenset(self._positions)
        # Words out of order: the order of the text is the truth, and so are the times as a set.
        self._times = sorted(times)

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Milliseconds at which the characters from ``first`` up to ``last`` begin and end.

        Punctuation has no time of its own: a comma does not lengthen its word. Nor has a space where times
        are shared by length: a word lasts until the next one, or each space of slow speech would be a pause.
        """
        core = _CORE.search(self._text, first, last)
        if core is not None:
            first, last = core.span()
        if last not in self._known:
            following = _LETTER.search(self._text, last)
            last = last if following is None else following.start()
        return self._time(first, begins=True), self._time(last, begins=False)

    def _time(self, position: int, *, begins: bool) -> int:
        """Where words meet, one position has two times: ``begins`` asks for that of the word behind it."""
        before = bisect_right(self._positions, position) - 1
        after = bisect_left(self._positions, position)
        if after <= before:
            return self._times[before if begins else after]
        if before < 0 or after == len(self._times):
            return self._times[max(before, 0)]
        share = (position - self._positions[before]) / (self._positions[after] - self._positions[before])
        return round(self._times[before] + share * (self._times[after] - self._times[before]))


def _pieces_of_segment(segment: Segment, max_width: int) -> Iterator[Piece]:
    text = tidy(segment.text)
    clock = _Clock(segment, text)
    for run in re.finditer(r"[^ ]+", text):
        spaced = run.start() > 0 or segment.text[0].isspace() or not _UNSPACED.match(text)
        cuts = [run.start(), *_cuts(text, run.start(), run.end(), clock.word_starts), run.end()]
        for begin, stop in pairwise(cuts):
            for first, last in _fitting(text, begin, stop, max_width):
                part = text[first:last].strip()
                if part:
                    yield Piece(part, width_of(part), *clock.span(first, last), spaced, segment.speaker)
                    spaced = False


def _cuts(text: str, begin: int, stop: int, word_starts: frozenset[int]) -> Iterator[int]:
    """Where unspaced writing may break: between its words where they are known, else between characters."""
    for at in range(begin + 1, stop):
        left, right = text[at - 1], text[at]
        if not (_UNSPACED.match(left) or _UNSPACED.match(right)) or not _starts_cluster(text, at):
            continue
        if left in _NEVER_LAST or right in _NEVER_FIRST:
            continue
        if at in word_starts or not word_starts or not (left.isalnum() and right.isalnum()):
            yield at


def _fitting(text: str, begin: int, stop: int, max_width: int) -> Iterator[tuple[int, int]]:
    """The span, cut only where it is wider than a line; never between a letter and its accents."""
    width = 0
    cluster = begin
    for at in range(begin, stop):
        if _starts_cluster(text, at):
            cluster = at
        width += _columns(text[at])
        if width > max_width:
            cut = cluster if cluster > begin else at  # the latter where a letter has accents for a whole line
            yield begin, cut
            begin, width = cut, width_of(text[cut : at + 1])
    yield begin, stop


def _belong(left: Piece, right: Piece) -> bool:
    """Punctuation that stands alone must not stand alone on a line: "Ça va ?", "« Oui »"."""
    alone = _NEVER_LAST.issuperset(left.text) or _NEVER_FIRST.issuperset(right.text)
    return alone and left.speaker == right.speaker


def _joined(left: Piece, right: Piece) -> Piece:
    text = left.text + " " * right.spaced + right.text
    return replace(left, text=text, width=width_of(text), end=max(left.end, right.end))


def _core(text: str) -> str:
    """The word without the punctuation around it."""
    found = _CORE.search(text)
    return text if found is None else found.group()


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _starts_cluster(text: str, at: int) -> bool:
    """Whether a cut before this character tears nothing apart: accents, joined emoji, skin tones."""
    joins = unicodedata.category(text[at]) in {"Mn", "Mc", "Me", "Cf"}
    toned = "\U0001f3fb" <= text[at] <= "\U0001f3ff"
    return not joins and not toned and (at == 0 or text[at - 1] != "\u200d")
