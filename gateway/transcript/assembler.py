"""Puts the hypotheses of consecutive chunks together into one transcript whose text only ever grows."""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import replace

from gateway.transcript.beginning import Beginning
from gateway.transcript.events import SegmentDone, TextDelta, TranscriptDone, TranscriptEvent
from gateway.transcript.seams import (
    beginning_small,
    first_word,
    goes_on,
    in_small_letters,
    is_stop,
    without_stop,
)
from gateway.transcript.stable import tokens_after
from gateway.transcript.timeline import Stretch, Timeline
from gateway.transcript.types import Hypothesis, Segment, Token, Transcript
from gateway.transcript.writing import ends_sentence, is_spaced

_SPACE = b" \t\n\r\v\f"


class Assembler:
    """Takes hypotheses in chunk order, gives the events they cause.

    The transcript begins with its first letter, has one space between segments where the language writes
    any, and no space at its end, whatever spaces the engine put around its tokens. A full stop at a chunk's
    end is held back until the next one begins, and left out where that goes on with the sentence.
    """

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._tokens: list[Token] = []
        self._segments: list[Segment] = []
        self._languages: dict[str, float] = {}
        self._decided: str | None = None
        self._prompt_tokens = 0
        self._owes_space = False
        self._ends_open = False
        """The text so far ends with a chunk, and within a sentence."""
        self._held: tuple[Token, ...] = ()
        """The full stop of the last segment, which is not done before."""
        self._beginning: Beginning | None = None
        """What was emitted of the chunk that comes next."""
        self._told = 0
        """So many bytes of what is added next are emitted already."""
        self._small: set[str] = set()
        """Words that were written with a small first letter."""

    def add(self, hypothesis: Hypothesis, timeline: Timeline) -> list[TranscriptEvent]:
        """Appends a chunk, whose clock is ``timeline``."""
        self._prompt_tokens += hypothesis.prompt_tokens
        if hypothesis.segments and hypothesis.language is not None:
            known = self._languages.get(hypothesis.language, 0.0)
            self._languages[hypothesis.language] = max(known, hypothesis.language_probability)
        spaced = is_spaced(hypothesis.language)
        events: list[TranscriptEvent] = []
        segments = [segment for segment in hypothesis.segments if _strip(segment.tokens)]
        if self._beginning is not None:
            segments = self._beginning.continued(segments, spaced=spaced)
            self._told, self._beginning = len(_raw(self._beginning.tokens)), None
        if segments and spaced:
            segments[0], events = self._join_chunk(segments[0])
        elif segments:
            events = self.flush()
        if spaced:
            self._owes_space = True
        for segment in segments:
            is_last = segment is segments[-1]
            events += self._add_segment(_shift(segment, timeline), holds_stop=spaced and is_last)
        if segments:
            self._ends_open = not (self._held or ends_sentence(self._texts[-1]))
        return events

    def begin(self, hypothesis: Hypothesis) -> list[TranscriptEvent]:
        """Takes a hypothesis of the first chunk's beginning: gives the words that are sure enough to emit.

        The chunk itself, added next, goes on after them.
        """
        whole = self.preview(hypothesis)
        if whole is None:
            return []
        self._beginning = Beginning.of(
            hypothesis.segments[0], whole.tokens, spaced=is_spaced(hypothesis.language)
        )
        return self._delta(self._beginning.tokens) if self._beginning else []

    def flush(self) -> list[TranscriptEvent]:
        """Gives what was held back: nothing is known to follow."""
        stop, self._held = self._held, ()
        if not stop:
            return []
        return [*self._delta(stop), self._segment_done()]

    def preview(self, hypothesis: Hypothesis) -> TextDelta | None:
        """All its deltas as one, had it been added now and nothing followed; None where it has no text."""
        blind = copy(self)
        vars(blind).update(
            _texts=self._texts[-1:],
            _tokens=[],
            _segments=self._segments[-1:],
            _languages={},
            _small=set(self._small),
        )
        known = [*blind.add(hypothesis, Timeline([Stretch.plain(0, 0)])), *blind.flush()]
        tokens = tuple(token for event in known if isinstance(event, TextDelta) for token in event.tokens)
        return TextDelta(_text(tokens), tokens) if tokens else None

    def decide_language(self, language: str) -> None:
        """Names the language of the whole request."""
        self._decided = language

    def finish(self, duration: float) -> TranscriptDone:
        """Closes the transcript, after `flush`.

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
                language_probability=self._languages.get(language or "", 0.0),
            )
        )

    def _join_chunk(self, segment: Segment) -> tuple[Segment, list[TranscriptEvent]]:
        """A chunk's first segment as it follows on the text so far, whose last segment this ends."""
        if self._segments and self._segments[-1].speaker != segment.speaker:
            return segment, self.flush()  # nobody goes on with another's sentence
        if self._held and goes_on(segment.text):
            self._segments[-1] = without_stop(self._segments[-1])
            self._held = ()
            return segment, [self._segment_done()]
        if self._ends_open and in_small_letters(first_word(segment.text)) in self._small:
            segment = beginning_small(segment)
        return segment, self.flush()

    def _add_segment(self, segment: Segment, *, holds_stop: bool) -> list[TranscriptEvent]:
        tokens = _join(segment, first=not self._segments, owes_space=self._owes_space)
        self._owes_space = segment.text[-1:].isspace()
        self._segments.append(segment)
        if holds_stop and len(tokens) > 1 and is_stop(tokens[-1]):
            self._held = (tokens.pop(),)
        events = self._delta(tokens)
        return events if self._held else [*events, self._segment_done()]

    def _delta(self, tokens: Sequence[Token]) -> list[TranscriptEvent]:
        told = min(self._told, len(_raw(tokens)))
        self._told -= told
        new = tuple(tokens_after(tokens, told))
        if not new:
            return []
        text = _text(new)
        self._texts.append(text)
        self._tokens += new
        self._small.update(word for word in text.split() if word[0].islower())
        return [TextDelta(text, new)]

    def _segment_done(self) -> SegmentDone:
        return SegmentDone(len(self._segments) - 1, self._segments[-1])


def _shift(segment: Segment, timeline: Timeline) -> Segment:
    """The segment with times from the recording's start."""
    start, end = timeline.between(segment.start, segment.end)
    words = []
    for word in segment.words:
        begin, stop = timeline.between(word.start, word.end)
        words.append(replace(word, start=begin, end=stop))
    return replace(segment, start=start, end=end, seek=round(timeline.start * 100), words=tuple(words))


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
    return _raw(tokens).decode()


def _raw(tokens: Iterable[Token]) -> bytes:
    return b"".join(token.raw for token in tokens)


def _with_bytes(token: Token, raw: bytes) -> Token:
    if raw == token.raw:
        return token
    return replace(token, raw=raw, text=raw.decode(errors="replace"))
