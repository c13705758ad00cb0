"""How long a silence may be before it ends an utterance, by what was said before it."""

import unicodedata
from typing import Literal, TypeAlias

from gateway.audio.types import SAMPLE_RATE

Eagerness: TypeAlias = Literal["low", "medium", "high"]

MAX_SECONDS: dict[Eagerness, float] = {"low": 8.0, "medium": 4.0, "high": 2.0}
"""OpenAI's limits for ``semantic_vad``."""

_SENTENCE_SECONDS: dict[Eagerness, float] = {"low": 1.5, "medium": 0.8, "high": 0.5}
"""Behind a whole sentence. A speaker's pauses between sentences of one thought are mostly below a second."""

_TRAILS_OFF = ("…", "..", "。。")

_TERMINAL = ("FULL STOP", "QUESTION MARK", "EXCLAMATION MARK", "DANDA", "SIGN SECTION", "SIGN KHAN")
"""In the names of the marks of all scripts; the last two are Burmese and Khmer."""


def patience(text: str, eagerness: Eagerness) -> int:
    """Samples of silence to wait for behind ``text``."""
    seconds = _SENTENCE_SECONDS if ends_sentence(text) else MAX_SECONDS
    return round(seconds[eagerness] * SAMPLE_RATE)


def ends_sentence(text: str) -> bool:
    """Whether the hypothesis ends a sentence. Three dots are Whisper's way to write that it goes on."""
    bare = text.rstrip()
    # German and Swedish close quotations with what Unicode counts as an opening mark.
    while (bare and unicodedata.category(bare[-1]) in {"Pe", "Pf", "Pi"}) or bare.endswith(('"', "'")):
        bare = bare[:-1].rstrip()
    return bool(bare) and not bare.endswith(_TRAILS_OFF) and _is_terminal(bare[-1])


def _is_terminal(mark: str) -> bool:
    name = unicodedata.name(mark, "")
    return unicodedata.category(mark) == "Po" and any(part in name for part in _TERMINAL)
