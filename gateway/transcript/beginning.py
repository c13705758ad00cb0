"""First words of a chunk, emitted before all of it was heard, and how the chunk goes on after them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from gateway.transcript.stable import StabilityOptions, StableText
from gateway.transcript.tokens import leading_space, raw_of, text_of, tokens_after
from gateway.transcript.types import Segment, Token, Word

_HELD_BACK = 3
"""Words before a cut: what comes after it changes them, even after a pause."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """Emitted text, never taken back.

    Attributes:
        segment: As which it is kept where the chunk turns out to hold no text.
    """

    segment: Segment

    @classmethod
    def of(cls, segment: Segment, tokens: Sequence[Token], *, spaced: bool) -> Self | None:
        """Of a hypothesis; None where no word is sure enough.

        Args:
            segment: The first one.
            tokens: All of its text, as it would be emitted.
            spaced: The language writes spaces between words.
        """
        stable = StableText(StabilityOptions(agreement=1, held_back=_HELD_BACK))
        sure = stable.partial(tokens, spaced=spaced)
        if not sure:
            return None
        return cls(replace(segment, tokens=sure, text=text_of(sure), words=()))

    @property
    def tokens(self) -> tuple[Token, ...]:
        """Those that were emitted."""
        return self.segment.tokens

    def continued(self, segments: Sequence[Segment], *, spaced: bool) -> list[Segment]:
        """The chunk's segments, beginning with what was emitted, whatever they heard in its place."""
        if not segments:
            return [self.segment]
        heard = [token for segment in segments for token in segment.tokens]
        heard = tokens_after(heard, leading_space(heard))
        stable = StableText(StabilityOptions())
        stable.emitted = self.tokens
        rest = raw_of(stable.final(heard, spaced=spaced))
        if raw_of(self.tokens) + rest == raw_of(heard):
            return list(segments)
        return self._replacing(segments, len(raw_of(heard)) - len(rest))

    def _replacing(self, segments: Sequence[Segment], count: int) -> list[Segment]:
        """The segments with what was emitted in place of their first ``count`` bytes of text."""
        first = segments[0]
        left, kept = count + leading_space(first.tokens), list(segments)
        replaced: list[Word] = []
        while len(kept) > 1 and left >= len(raw_of(kept[0].tokens)):
            left -= len(raw_of(kept[0].tokens))
            replaced += kept.pop(0).words
        bytes_of_words = 0
        words = list(kept[0].words)
        while words and bytes_of_words + len(words[0].text.encode()) <= left:
            bytes_of_words += len(words[0].text.encode())
            replaced.append(words.pop(0))
        tokens = (*self.tokens, *tokens_after(kept[0].tokens, left))
        merged = replace(
            kept[0],
            start=first.start,
            text=text_of(tokens),
            tokens=tokens,
            words=(*self._words(replaced), *words),
        )
        return [merged, *kept[1:]]

    def _words(self, replaced: Sequence[Word]) -> list[Word]:
        """The emitted words at the times of those in whose place they are."""
        texts = text_of(self.tokens).split()
        if not replaced:
            return []
        if len(texts) == len(replaced):
            return [replace(word, text=f" {text}") for word, text in zip(replaced, texts, strict=True)]
        start, step = replaced[0].start, (replaced[-1].end - replaced[0].start) / len(texts)
        return [
            replace(replaced[0], start=start + at * step, end=start + (at + 1) * step, text=f" {text}")
            for at, text in enumerate(texts)
        ]
