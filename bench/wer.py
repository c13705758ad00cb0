"""How well words were heard: errors, losses at cuts, full stops where a sentence goes on, word times.

Error rates are those of `jiwer` after `whisper_normalizer`; of Chinese, Japanese and Korean by character.
Places in a text (cuts, stops, times) are found by aligning it with the reference word by word, with little
normalising, so that each word keeps its place and its punctuation.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import jiwer
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

BY_CHARACTER = frozenset({"zh", "ja", "ko"})
"""Languages whose errors are counted by character."""

_UNSPACED = frozenset({"zh", "ja"})
"""In these each character is a word."""

_STOPS = frozenset(".!?。！？…")  # noqa: RUF001 - full stops of several scripts
_REFERENCE_STOPS = _STOPS | frozenset(":;：；")  # noqa: RUF001 - a colon may be read as a full stop

_NEAR = 3
"""Words on either side of a join among which one that stands in the reference is looked for."""

_english = EnglishTextNormalizer()
_basic = BasicTextNormalizer()


@dataclass(frozen=True, slots=True)
class Score:
    """Wrong words (or characters) of so many."""

    wrong: int = 0
    of: int = 0

    def __add__(self, other: "Score") -> "Score":
        return Score(self.wrong + other.wrong, self.of + other.of)

    @property
    def rate(self) -> float:
        """The share; of nothing it is nothing."""
        return self.wrong / self.of if self.of else 0.0


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word and when it begins, in seconds."""

    start: float
    text: str


@dataclass(frozen=True, slots=True)
class Joins:
    """What happened where a text was put together from windows.

    Attributes:
        count: So many joins there are.
        lost: Words of the reference that are missing at one of them, or at the recording's start or end.
        false_stops: Full stops at one of them where the reference's sentence goes on, or lower case follows.
    """

    count: int = 0
    lost: int = 0
    false_stops: int = 0

    def __add__(self, other: "Joins") -> "Joins":
        return Joins(self.count + other.count, self.lost + other.lost, self.false_stops + other.false_stops)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word where it stands: its form without case and punctuation, and what is written after it."""

    start: int
    form: str
    text: str

    def ends(self, stops: frozenset[str]) -> bool:
        """One of ``stops`` follows its last letter."""
        return any(character in stops for character in re.findall(r"[^\w]*$", self.text)[0])


def normal(text: str, language: str) -> str:
    """As errors are counted: no case, no punctuation, in English one spelling of numbers and the like."""
    if language == "en":
        return str(_english(text)).strip()
    plain = str(_basic(text)).strip()
    return plain.replace(" ", "") if language in BY_CHARACTER else plain


def score(reference: str, heard: str, language: str) -> Score:
    """How many words (or characters) of the reference were missed, doubled or mistaken."""
    truth, text = normal(reference, language), normal(heard, language)
    length = len(truth) if language in BY_CHARACTER else len(truth.split())
    if not truth or not text:
        return Score(length + (0 if truth else len(text.split())), length)
    compare = jiwer.process_characters if language in BY_CHARACTER else jiwer.process_words
    found = compare(truth, text)
    return Score(found.substitutions + found.deletions + found.insertions, length)


def judge_joins(reference: str, heard: str, places: Sequence[int], language: str) -> Joins:
    """Looks at the places, as characters of ``heard``, where one window's text ends and the next begins."""
    truth, words = _pieces(reference, language), _pieces(heard, language)
    steps = _align([piece.form for piece in truth], [piece.form for piece in words])
    # As words of `heard`: the first one behind each join.
    after = sorted({sum(piece.start < place for piece in words) for place in places} - {0, len(words)})
    edges = [0, *after, len(words)]
    lost = sum(
        step.ref_end_idx - step.ref_start_idx
        for step in steps
        if step.type == "delete" and min(abs(step.hyp_start_idx - edge) for edge in edges) <= 1
    )
    false = sum(_is_false_stop(truth, words, _places(steps), at) for at in after)
    return Joins(len(after), lost, false)


def start_errors(reference: Iterable[TimedWord], heard: Iterable[TimedWord], language: str) -> list[float]:
    """By how many seconds the words that both have begin at different times."""
    truth, words = _timed(reference, language), _timed(heard, language)
    steps = _align([form for _, form in truth], [form for _, form in words])
    return [
        abs(words[step.hyp_start_idx + at][0] - truth[step.ref_start_idx + at][0])
        for step in steps
        if step.type == "equal"
        for at in range(step.ref_end_idx - step.ref_start_idx)
    ]


def _timed(words: Iterable[TimedWord], language: str) -> list[tuple[float, str]]:
    """Starts and forms. Where a word is several pieces, as in Chinese, the first one alone has its time."""
    return [(word.start, piece.form) for word in words for piece in _pieces(word.text, language)[:1]]


def _pieces(text: str, language: str) -> list[_Piece]:
    pattern = r"\w\W*" if language in _UNSPACED else r"\S+"
    found = (
        _Piece(match.start(), re.sub(r"[^\w]", "", match[0].lower()), match[0].rstrip())
        for match in re.finditer(pattern, text)
    )
    return [piece for piece in found if piece.form]


def _align(truth: Sequence[str], words: Sequence[str]) -> list[jiwer.AlignmentChunk]:
    if not truth or not words:
        kind = "delete" if truth else "insert"
        is_empty = not truth and not words
        return [] if is_empty else [jiwer.AlignmentChunk(kind, 0, len(truth), 0, len(words))]
    return list(jiwer.process_words(" ".join(truth), " ".join(words)).alignments[0])


def _places(steps: Iterable[jiwer.AlignmentChunk]) -> dict[int, int]:
    """For words that have one, their counterparts in the reference."""
    return {
        step.hyp_start_idx + at: step.ref_start_idx + at
        for step in steps
        if step.type in {"equal", "substitute"}
        for at in range(step.ref_end_idx - step.ref_start_idx)
    }


def _is_false_stop(
    truth: Sequence[_Piece], words: Sequence[_Piece], places: dict[int, int], after: int
) -> bool:
    """The word before ``after`` ends a sentence that goes on."""
    if not words[after - 1].ends(_STOPS):
        return False
    if words[after].text.lstrip("\"'“‘([-—")[:1].islower():  # noqa: RUF001 - as books open quotations
        return True
    if not any(piece.ends(_STOPS) for piece in truth):
        return False  # a reference without punctuation cannot tell
    before = [places[at] for at in range(after - 1, max(after - 1 - _NEAR, -1), -1) if at in places][:1]
    behind = [places[at] for at in range(after, min(after + _NEAR, len(words))) if at in places][:1]
    if not before or not behind:
        return False
    return not any(truth[at].ends(_REFERENCE_STOPS) for at in range(before[0], behind[0]))
