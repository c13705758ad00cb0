"""How languages are written: what ends a sentence, what stands at a word's edges, who writes no spaces."""

import unicodedata
from typing import Final, Literal, TypeAlias

Eagerness: TypeAlias = Literal["low", "medium", "high"]
"""How soon somebody who stops speaking is taken to be done: OpenAI's word for ``semantic_vad``."""

MAX_SILENCE_SECONDS: Final[dict[Eagerness, float]] = {"low": 8.0, "medium": 4.0, "high": 2.0}
"""The longest silence within a turn: OpenAI's limits for ``semantic_vad``."""

UNSPACED_LANGUAGES: Final = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Written without spaces between words; the same set as Whisper's own word splitting uses."""

EDGE_PUNCTUATION: Final = ' \t\n.,!?;:…–—"“”«»()[]{}。，、！？：；「」『』'  # noqa: RUF001 - full-width marks are meant
"""What OpenAI's words do not carry at their ends. Apostrophes, hyphens and signs belong to words."""

_SENTENCE_SILENCE_SECONDS: Final[dict[Eagerness, float]] = {"low": 1.5, "medium": 0.8, "high": 0.5}
"""After a whole sentence. A speaker's pauses between sentences of one thought are mostly below a second."""

_TRAILS_OFF = ("…", "..", "。。")

_TERMINAL = ("FULL STOP", "QUESTION MARK", "EXCLAMATION MARK", "DANDA", "SIGN SECTION", "SIGN KHAN")
"""In the names of the marks of all scripts; the last two are Burmese and Khmer."""


def is_spaced(language: str | None) -> bool:
    """Whether the language writes spaces between its words; an unknown one is taken to."""
    return language not in UNSPACED_LANGUAGES


def plain(word: str) -> str:
    """The word without what only style changes; marks alone stay."""
    return "".join(filter(str.isalnum, word.casefold())) or word


def silence_seconds(text: str, eagerness: Eagerness) -> float:
    """How long a silence after ``text`` may be before the speaker is taken to be done."""
    seconds = _SENTENCE_SILENCE_SECONDS if ends_sentence(text) else MAX_SILENCE_SECONDS
    return seconds[eagerness]


def ends_sentence(text: str) -> bool:
    """Whether the text ends a sentence. Three dots are Whisper's way to write that it goes on."""
    bare = text.rstrip()
    # German and Swedish close quotations with what Unicode counts as an opening mark.
    while (bare and unicodedata.category(bare[-1]) in {"Pe", "Pf", "Pi"}) or bare.endswith(('"', "'")):
        bare = bare[:-1].rstrip()
    return bool(bare) and not bare.endswith(_TRAILS_OFF) and _is_terminal(bare[-1])


def _is_terminal(mark: str) -> bool:
    name = unicodedata.name(mark, "")
    return unicodedata.category(mark) == "Po" and any(part in name for part in _TERMINAL)
