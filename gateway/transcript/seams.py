"""Where one chunk's text ends and the next one's begins: a sentence that goes on is to read as one.

Whisper likes to end what it is given with a full stop and to begin it with a capital, wherever it was cut.
All of this is for languages that write spaces; others stay as they are.
"""

from dataclasses import replace

from gateway.transcript.tokens import text_of
from gateway.transcript.types import Segment, Token

_STOPS = frozenset({".", "..", "...", "…"})
_OPENING = " \t\n\"'“‘«([{-–—"  # noqa: RUF001 - as books open quotations


def is_stop(token: Token) -> bool:
    """Whether the token is a full stop, or dots. Question and exclamation marks are never out of place."""
    return token.text.strip() in _STOPS


def goes_on(text: str) -> bool:
    """Whether this goes on with a sentence: its first letter is a small one."""
    return text.lstrip(_OPENING)[:1].islower()


def without_stop(segment: Segment) -> Segment:
    """The segment without the full stop at its end, which its last word loses, too."""
    tokens = list(segment.tokens)
    while tokens and not tokens[-1].text.strip():
        tokens.pop()
    tokens = tokens[:-1]
    words = segment.words
    if words:
        words = (*words[:-1], replace(words[-1], text=words[-1].text.rstrip(" .…")))
    return replace(segment, text=text_of(tokens), tokens=tuple(tokens), words=words)


def first_word(text: str) -> str:
    """The first word, without marks around it."""
    return next(iter(text.split()), "").strip(_OPENING + ".,!?:;…”’»)]}")  # noqa: RUF001 - the same


def beginning_small(segment: Segment) -> Segment:
    """The segment with a small first letter, if a token holds it whole; its first word, too."""
    token = segment.tokens[0]
    small = in_small_letters(token.text)
    if small == token.text or token.text.encode() != token.raw:
        return segment
    tokens = (replace(token, text=small, raw=small.encode()), *segment.tokens[1:])
    words = segment.words
    if words:
        words = (replace(words[0], text=in_small_letters(words[0].text)), *words[1:])
    return replace(segment, text=text_of(tokens), tokens=tokens, words=words)


def in_small_letters(text: str) -> str:
    """The text with its first letter a small one."""
    at = next((at for at, letter in enumerate(text) if letter.isalpha()), len(text))
    return text[:at] + text[at : at + 1].lower() + text[at + 1 :]
