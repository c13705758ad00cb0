"""A recording's transcript: the events as they come, and all of it at the end."""

from collections.abc import Sequence

from gateway.transcript.composer import Composed, Composer
from gateway.transcript.events import SegmentDone, TextDelta, TranscriptDone
from gateway.transcript.timeline import Stretch, Timeline
from gateway.transcript.tokens import text_of
from gateway.transcript.types import Hypothesis, Segment, Token, Transcript
from gateway.transcript.writing import is_spaced


class Assembler:
    """Takes hypotheses in chunk order, gives the events they cause, and keeps what they were.

    How the text is put together is its `Composer`'s affair.
    """

    def __init__(self) -> None:
        self._composer = Composer()
        self._texts: list[str] = []
        self._tokens: list[Token] = []
        self._segments: list[Segment] = []
        self._languages: dict[str, float] = {}
        self._decided: str | None = None
        self._prompt_tokens = 0

    def add(self, hypothesis: Hypothesis, timeline: Timeline) -> Sequence[Composed]:
        """Appends a chunk, whose clock is ``timeline``."""
        self._prompt_tokens += hypothesis.prompt_tokens
        if hypothesis.segments and hypothesis.language is not None:
            known = self._languages.get(hypothesis.language, 0.0)
            self._languages[hypothesis.language] = max(known, hypothesis.language_probability)
        return self._kept(self._composer.add(hypothesis, timeline))

    def begin(self, hypothesis: Hypothesis) -> Sequence[Composed]:
        """Takes a hypothesis of the first chunk's beginning: gives the words that are sure enough to emit.

        The chunk itself, added next, goes on after them.
        """
        whole = self.preview(hypothesis)
        if whole is None:
            return []
        spaced = is_spaced(hypothesis.language)
        return self._kept(self._composer.begin(hypothesis.segments[0], whole.tokens, spaced=spaced))

    def flush(self) -> Sequence[Composed]:
        """Gives what was held back: nothing is known to follow."""
        return self._kept(self._composer.flush())

    def preview(self, hypothesis: Hypothesis) -> TextDelta | None:
        """All its deltas as one, had it been added now and nothing followed; None where it has no text."""
        blind = self._composer.copied()
        known = [*blind.add(hypothesis, Timeline([Stretch.plain(0, 0)])), *blind.flush()]
        tokens = tuple(token for event in known if isinstance(event, TextDelta) for token in event.tokens)
        return TextDelta(text_of(tokens), tokens) if tokens else None

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

    def _kept(self, events: Sequence[Composed]) -> Sequence[Composed]:
        for event in events:
            match event:
                case TextDelta():
                    self._texts.append(event.text)
                    self._tokens += event.tokens
                case SegmentDone():
                    self._segments.append(event.segment)
        return events
