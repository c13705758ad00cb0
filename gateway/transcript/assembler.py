"""Puts the hypotheses of consecutive chunks together into one transcript whose text only ever grows."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from gateway.transcript.events import SegmentDone, TextDelta, TranscriptDone, TranscriptEvent
from gateway.transcript.types import Hypothesis, Segment, Token, Transcript
from gateway.transcript.writing import is_spaced

_SPACE = b" \t\n\r\v\f"


class Assembler:
    """Takes hypotheses in chunk order, gives the events they cause.

    The transcript begins with its first letter, has one space between segments where the language writes
    any, and no space at its end, whatever spaces the engine put around its tokens.
    """

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._tokens: list[Token] = []
        self._segments: list[Segment] = []
        self._languages: dict[str, float] = {}
        self._decided: str | None = None
        self._prompt_tokens = 0
        self._owes_space = False

    def add(self, hypothesis: Hypothesis, *, start: float, end: float) -> list[TranscriptEvent]:
        """Appends a chunk.

        Args:
            start: Seconds from the recording's start to the chunk's first sample.
            end: Seconds to the chunk's end; no time given out is later.
        """
        self._prompt_tokens += hypothesis.prompt_tokens
        if hypothesis.segments and hypothesis.language is not None:
            known = self._languages.get(hypothesis.language, 0.0)
            self._languages[hypothesis.language] = max(known, hypothesis.language_probability)
        if is_spaced(hypothesis.language):
            self._owes_space = True
        events: list[TranscriptEvent] = []
        for segment in hypothesis.segments:
            events += self._add_segment(_shift(segment, start, end))
        return events

    def preview(self, hypothesis: Hypothesis) -> TextDelta | None:
        """The chunk's deltas as one, had it been added now; None where it holds no text. Changes nothing."""
        owes_space = self._owes_space or is_spaced(hypothesis.language)
        tokens: list[Token] = []
        for segment in hypothesis.segments:
            if joined := _join(segment, first=not (self._texts or tokens), owes_space=owes_space):
                tokens += joined
                owes_space = segment.text[-1:].isspace()
        return TextDelta(_text(tokens), tuple(tokens)) if tokens else None

    def decide_language(self, language: str) -> None:
        """Names the language of the whole request."""
        self._decided = language

    def finish(self, duration: float) -> TranscriptDone:
        """Closes the transcript.

        Args:
            duration: Seconds of decoded audio.
        """
        language = self._decided
        if language is None and self._languages:
            language = max(self._languages, key=self._languages.__getitem__)
        return TranscriptDone(
            Transcript(
                text="".join(self._texts),
                language=language,
                languages=tuple(self._languages),
                duration=duration,
                segments=tuple(self._segments),
                tokens=tuple(self._tokens),
                prompt_tokens=self._prompt_tokens,
            )
        )

    def _add_segment(self, segment: Segment) -> list[TranscriptEvent]:
        tokens = _join(segment, first=not self._texts, owes_space=self._owes_space)
        if not tokens:
            return []
        self._owes_space = segment.text[-1:].isspace()
        text = _text(tokens)
        self._texts.append(text)
        self._tokens += tokens
        self._segments.append(segment)
        return [TextDelta(text, tuple(tokens)), SegmentDone(len(self._segments) - 1, segment)]


def _shift(segment: Segment, start: float, end: float) -> Segment:
    """The segment with times from the recording's start."""
    return replace(
        segment,
        start=min(segment.start + start, end),
        end=min(segment.end + start, end),
        seek=round(start * 100),
        words=tuple(
            replace(word, start=min(word.start + start, end), end=min(word.end + start, end))
            for word in segment.words
        ),
    )


def _join(segment: Segment, *, first: bool, owes_space: bool) -> list[Token]:
    """The segment's tokens as they follow the text before; none where it is blank."""
    tokens = _strip(segment.tokens)
    if tokens and not first and (owes_space or segment.text[:1].isspace()):
        tokens[0] = _with_bytes(tokens[0], b" " + tokens[0].raw)
    return tokens


def _strip(tokens: Sequence[Token]) -> list[Token]:
    """The tokens without white space at either end of their text."""
    kept = list(tokens)
    while kept and not kept[0].raw.lstrip(_SPACE):
        kept.pop(0)
    while kept and not kept[-1].raw.rstrip(_SPACE):
        kept.pop()
    if kept:
        kept[0] = _with_bytes(kept[0], kept[0].raw.lstrip(_SPACE))
        kept[-1] = _with_bytes(kept[-1], kept[-1].raw.rstrip(_SPACE))
    return kept


def _text(tokens: Iterable[Token]) -> str:
    return b"".join(token.raw for token in tokens).decode()


def _with_bytes(token: Token, raw: bytes) -> Token:
    if raw == token.raw:
        return token
    return replace(token, raw=raw, text=raw.decode(errors="replace"))
