"""Whisper's tokens: ids to raw bytes and back, special ids, and what a decode must never emit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.transcript import Token

if TYPE_CHECKING:
    from collections.abc import Sequence

    import tokenizers
    from faster_whisper.tokenizer import Tokenizer

    from gateway.engine.api import Task


class Vocabulary:
    """The tokenizer of one loaded model.

    Attributes:
        languages: Codes the model has a token for; English alone for English-only models.
        suppressed: Ids that no transcript may hold: speaker tags, music notes, task tokens.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer, *, multilingual: bool) -> None:
        from faster_whisper.tokenizer import _LANGUAGE_CODES  # noqa: PLC0415 - a heavy import, workers only

        self._hf = tokenizer
        self._multilingual = multilingual
        self._tokenizers: dict[tuple[str, Task], Tokenizer] = {}
        self._bytes_of = _byte_alphabet()
        self._added = tokenizer.get_added_tokens_decoder()
        self.languages = frozenset(
            [code for code in _LANGUAGE_CODES if tokenizer.token_to_id(f"<|{code}|>") is not None]
            if multilingual
            else ["en"]
        )
        plain = self.tokenizer("en", "transcribe")
        self.eot: int = plain.eot
        self.sot: int = plain.sot
        self.sot_prev: int = plain.sot_prev
        self.no_timestamps: int = plain.no_timestamps
        self.timestamp_begin: int = plain.timestamp_begin
        special = (
            plain.transcribe,
            plain.translate,
            plain.sot,
            plain.sot_prev,
            plain.sot_lm,
            plain.no_speech,
        )
        self.suppressed = sorted(
            {*plain.non_speech_tokens, *(token for token in special if token is not None)}
        )

    def tokenizer(self, language: str, task: Task) -> Tokenizer:
        """Faster-whisper's tokenizer, which knows the start sequence and how a language splits into words."""
        from faster_whisper.tokenizer import Tokenizer  # noqa: PLC0415 - a heavy import, workers only

        if (language, task) not in self._tokenizers:
            self._tokenizers[language, task] = Tokenizer(
                self._hf, self._multilingual, task=task, language=language
            )
        return self._tokenizers[language, task]

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text; what looks like a special token in it is left out.

        A user's ``<|startoftranscript|>`` would otherwise move the start of the whole batch.
        """
        return [token for token in self._hf.encode(text, add_special_tokens=False).ids if token < self.eot]

    def is_text(self, token: int) -> bool:
        """Neither a timestamp nor another special token."""
        return 0 <= token < self.eot

    def raw(self, token: int) -> bytes:
        """The bytes of a text token, which may end inside a character."""
        if (added := self._added.get(token)) is not None:
            return added.content.encode()
        return bytes(self._bytes_of[char] for char in self._hf.id_to_token(token) or "")

    def text(self, ids: Sequence[int]) -> str:
        """The text of text tokens, without the halves of cut characters."""
        return b"".join(self.raw(token) for token in ids).decode(errors="ignore")

    def tokens(self, ids: Sequence[int], logprobs: Sequence[float | None]) -> tuple[Token, ...]:
        """Tokens whose bytes join to valid UTF-8: bytes of cut characters are taken out.

        A token that has no bytes left is left out. The model may stop, or be stopped, inside a character.
        """
        pieces = _without_cut_characters([self.raw(token) for token in ids])
        return tuple(
            Token(id=token, text=raw.decode(errors="replace"), raw=raw, logprob=logprob)
            for token, raw, logprob in zip(ids, pieces, logprobs, strict=True)
            if raw
        )


def _without_cut_characters(pieces: Sequence[bytes]) -> list[bytes]:
    joined = b"".join(pieces)
    bad: set[int] = set()
    start = 0
    while start < len(joined):
        try:
            joined[start:].decode()
            break
        except UnicodeDecodeError as error:
            bad.update(range(start + error.start, start + error.end))
            start += error.end
    if not bad:
        return list(pieces)
    mended: list[bytes] = []
    position = 0
    for piece in pieces:
        mended.append(bytes(byte for index, byte in enumerate(piece, position) if index not in bad))
        position += len(piece)
    return mended


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's byte-level alphabet, by which Whisper's vocabulary writes bytes as printable characters.

    Source: ``bytes_to_unicode`` in openai/gpt-2's encoder.py.
    """
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}
