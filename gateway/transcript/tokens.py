"""Tokens in a row: the bytes and the text that they join to, and parts of them, cut at a byte."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate

from gateway.transcript.types import Token

_SPACE = b" \t\n\r\v\f"


def raw_of(tokens: Iterable[Token]) -> bytes:
    """The bytes that they join to."""
    return b"".join(token.raw for token in tokens)


def text_of(tokens: Iterable[Token]) -> str:
    """The text that they join to, with U+FFFD for what is no whole character."""
    return raw_of(tokens).decode(errors="replace")


def with_raw(token: Token, raw: bytes) -> Token:
    """The token with other bytes."""
    return token if raw == token.raw else replace(token, raw=raw, text=raw.decode(errors="replace"))


def tokens_before(tokens: Sequence[Token], position: int) -> list[Token]:
    """The tokens up to a byte position; the one it lies in is cut there."""
    begins = accumulate((len(token.raw) for token in tokens), initial=0)
    return [
        with_raw(token, token.raw[: position - begin])
        for token, begin in zip(tokens, begins, strict=False)
        if begin < position
    ]


def tokens_after(tokens: Sequence[Token], position: int) -> list[Token]:
    """The tokens from a byte position on; the one it lies in is cut there."""
    ends = accumulate(len(token.raw) for token in tokens)
    return [
        with_raw(token, token.raw[max(0, len(token.raw) - (end - position)) :])
        for token, end in zip(tokens, ends, strict=True)
        if end > position
    ]


def leading_space(tokens: Iterable[Token]) -> int:
    """Bytes of white space that they begin with."""
    raw = raw_of(tokens)
    return len(raw) - len(raw.lstrip(_SPACE))


def stripped(tokens: Sequence[Token]) -> list[Token]:
    """The tokens without white space at either end of their text."""
    raw = raw_of(tokens)
    return tokens_after(tokens_before(tokens, len(raw.rstrip(_SPACE))), leading_space(tokens))
