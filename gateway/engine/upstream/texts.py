"""What upstreams leave out of their texts: tokens, the language, and the times of their sentences."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from gateway.transcript import Token
from gateway.transcript.writing import ends_sentence

_UNSPACED: Final = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f"
"""Scripts without spaces between words: kana, Han, Thai, Lao, Burmese."""

_PIECE = re.compile(rf"\s*(?:[{_UNSPACED}]|[^\s{_UNSPACED}]+)(?:\s+$)?|\s+$")

_SCRIPTS: Final = {
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "THAI": "th",
    "LAO": "lo",
    "MYANMAR": "my",
    "CJK": "zh",
}
"""Languages that are known by their script; kana go before the Han characters beside them."""

_NEAR_SECONDS = 1.5
"""A sentence's end is put into a pause that is not farther away."""


def tokens_of(text: str, first: int = 0) -> tuple[Token, ...]:
    """A token for each word, or character where no spaces are written, numbered from ``first``."""
    pieces = _PIECE.findall(text)
    return tuple(Token(first + at, piece, piece.encode(), None) for at, piece in enumerate(pieces))


def language_by_script(text: str) -> str | None:
    """The language whose script most of the text's letters have; None for scripts that many share."""
    letters = [character for character in text if character.isalpha()]
    scripts = [unicodedata.name(letter, "").split(" ")[0] for letter in letters]
    found = [script for script in scripts if script in _SCRIPTS]
    if len(found) * 2 <= len(letters):
        return None
    return next(language for script, language in _SCRIPTS.items() if script in found)


def sentences(text: str) -> list[str]:
    """The text cut behind its sentences; the parts join to it."""
    parts = [""]
    for piece in _PIECE.findall(text):
        if ends_sentence(parts[-1]) and (piece[:1].isspace() or re.match(rf"[{_UNSPACED}]", piece)):
            parts.append("")
        parts[-1] += piece
    return [part for part in parts if part]


def guessed_times(parts: Sequence[str], seconds: float, breaks: Sequence[float]) -> list[tuple[float, float]]:
    """When each part is said, as far as that can be guessed.

    By its share of the characters; where that is near a pause, the part ends there.

    Args:
        seconds: The length of the audio.
        breaks: Seconds of the pauses in it.
    """
    total = sum(map(len, parts)) or 1
    ends: list[float] = []
    said = 0
    for part in parts:
        said += len(part)
        end = seconds * said / total
        pause = min(breaks, key=lambda at, end=end: abs(at - end), default=end)  # type: ignore[misc]
        is_near = said < total and abs(pause - end) <= _NEAR_SECONDS
        ends.append(max(pause if is_near else end, ends[-1] if ends else 0.0))
    return list(zip([0.0, *ends][:-1], ends, strict=True))
