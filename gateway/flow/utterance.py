"""One utterance: its chunks' hypotheses on the way to text that only grows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.audio.types import SAMPLE_RATE, Chunk
from gateway.errors import GatewayError
from gateway.flow.options import PartialOptions, Recognition
from gateway.transcript import Assembler, Hypothesis, SegmentDone, TextDelta, Token
from gateway.transcript.events import ItemCompleted, ItemDelta, ItemFailed, ItemSegment, LiveEvent
from gateway.transcript.speakers import SpeakerNames, Turn, attribute
from gateway.transcript.stable import StabilityOptions, StableText, without_loop
from gateway.transcript.timeline import Timeline
from gateway.transcript.tokens import text_of
from gateway.transcript.writing import is_spaced

UNTIL_TEXT = 0.25
"""So many steps pass between partials until an utterance has text, and no more than the last one took: people
wait for its first words, and what was said so far is quickly decoded."""

MOST_UNTOLD = 2
"""Hypotheses that wait for the utterance before to end: they have its first words, and more need no haste."""

TOKENS_MORE = 24
"""A partial may have so many tokens more than twice those of the hypothesis before it. It hears little more:
one that has many more is a loop, and would take several times as long."""


@dataclass(slots=True)
class _Complete:
    """A complete chunk, and what the engine made of it."""

    timeline: Timeline
    ends: bool
    outcome: Hypothesis | GatewayError | None = None
    turns: Sequence[Turn] | None = None
    """Who speaks when; None while nobody knows, and where nobody asks."""


@dataclass(frozen=True, slots=True)
class _Partial:
    """A hypothesis of the chunk that goes on."""

    tokens: Sequence[Token]
    paused: bool
    spaced: bool


class Utterance:
    """An item on its way to its text.

    Args:
        start: Position of its first sample.
        recognition: None: there will be no text.
        names: Those of the session's speakers.

    Attributes:
        closed: No more chunks come.
        announced: Its beginning was emitted, so its end will be, whatever the options are from then on.
        interrupted: It is ended, but not by its speaker, see `ItemCompleted`.
    """

    def __init__(
        self, item_id: str, start: int, recognition: Recognition | None, names: SpeakerNames | None = None
    ) -> None:
        self.item_id = item_id
        self.recognition = recognition
        self.closed = False
        self.announced = False
        self.interrupted = False
        self._start = start
        self._end = start
        self._chunks: list[_Complete] = []
        self._emitted = 0
        """So many chunks' final text is out."""
        self._names = names or SpeakerNames()
        self._assembler = Assembler()
        self._told: list[Token] = []
        """All that was emitted."""
        self._untold: list[_Partial] = []
        """Hypotheses of the chunk that goes on, while an earlier utterance has something to emit."""
        self._stable = self._new_stable()
        self._tokens = 0
        """Of the last hypothesis of the chunk that goes on."""
        self._error: GatewayError | None = None

    @property
    def partials(self) -> PartialOptions | None:
        """How it is decoded while it goes on, more often until it has text; None: it is not."""
        options = self.recognition.partials if self.recognition is not None else None
        if options is None or self._told or len(self._untold) > MOST_UNTOLD:
            return options
        return replace(options, step=options.step * UNTIL_TEXT, breath=1.0)

    @property
    def chunks(self) -> int:
        """Complete chunks so far; also the number of the one that goes on."""
        return len(self._chunks)

    @property
    def undecided(self) -> int:
        """Complete chunks that the engine has not answered yet, or whose speakers are not known."""
        return sum(not self._is_decided(chunk) for chunk in self._chunks)

    @property
    def is_caught_up(self) -> bool:
        """The text of all complete chunks is out, so that a partial of the one that goes on could follow."""
        return self._emitted == len(self._chunks)

    @property
    def emitted(self) -> tuple[Token, ...]:
        """What was emitted of the chunk that goes on."""
        return self._stable.emitted if self.is_caught_up else ()

    @property
    def most_tokens(self) -> int:
        """Those that the next hypothesis of the chunk that goes on may have."""
        return 2 * self._tokens + TOKENS_MORE

    def add(self, chunk: Chunk) -> int:
        """Takes a complete chunk; returns its number for `settle`."""
        self._untold.clear()  # it comes with the final
        self._chunks.append(_Complete(chunk.timeline, chunk.ends_utterance))
        return len(self._chunks) - 1

    def settle(self, number: int, outcome: Hypothesis | GatewayError) -> None:
        """Takes the engine's answer to a complete chunk."""
        self._chunks[number].outcome = outcome

    def heard(self, number: int, turns: Sequence[Turn]) -> None:
        """Takes who speaks in a complete chunk."""
        self._chunks[number].turns = turns

    def close(self, end: int) -> None:
        """Takes note that it is over at ``end``, in samples."""
        self.closed = True
        self._end = end

    def partial(self, number: int, hypothesis: Hypothesis, *, paused: bool) -> None:
        """Takes a hypothesis of the chunk that goes on, unless it comes too late. `advance` tells from it."""
        if self.partials is None or number != len(self._chunks) or not self.is_caught_up:
            return
        preview = self._assembler.preview(hypothesis)
        tokens: Sequence[Token] = preview.tokens if preview is not None else ()
        if not paused:
            tokens = without_loop(tokens)
            self._tokens = len(tokens)
        self._untold.append(_Partial(tokens, paused, is_spaced(hypothesis.language)))

    def advance(self) -> list[LiveEvent]:
        """What can be emitted now; to be called while no earlier utterance has anything to emit."""
        untold, self._untold = self._untold, []
        events: list[LiveEvent] = []
        for each in untold:
            events += self._delta(self._stable.partial(each.tokens, paused=each.paused, spaced=each.spaced))
        return events + self._complete()

    def _complete(self) -> list[LiveEvent]:
        """What complete chunks add."""
        if self.recognition is None or (self.partials is None and not self.closed):
            return []
        events: list[LiveEvent] = []
        while not self.is_caught_up:
            chunk = self._chunks[self._emitted]
            if chunk.outcome is None or not self._is_decided(chunk):
                return events
            events += self._final(chunk, chunk.outcome)
            self._emitted += 1
        if self.closed:
            events.append(self._end_event(self.recognition))
        return events

    def _final(self, chunk: _Complete, outcome: Hypothesis | GatewayError) -> list[LiveEvent]:
        stable, self._stable = self._stable, self._new_stable()
        self._tokens = 0
        if isinstance(outcome, GatewayError):
            self._error = outcome
            return []
        if chunk.turns is not None:
            outcome = attribute(outcome, chunk.turns, self._names)
        # Partials have shown the full stop already, so it does not wait for the next chunk.
        known = [*self._assembler.add(outcome, chunk.timeline), *self._assembler.flush()]
        tokens = [token for event in known if isinstance(event, TextDelta) for token in event.tokens]
        spaced = is_spaced(outcome.language)
        if not chunk.ends:
            self._stable = self._new_stable(stable.beyond(tokens, spaced=spaced))
        events = self._delta(stable.final(tokens, spaced=spaced))
        if chunk.turns is not None:
            done = [event for event in known if isinstance(event, SegmentDone)]
            events += [ItemSegment(self.item_id, event.index, event.segment) for event in done]
        return events

    def _is_decided(self, chunk: _Complete) -> bool:
        asks = self.recognition is not None and self.recognition.speakers is not None
        return chunk.outcome is not None and (chunk.turns is not None or not asks)

    def _delta(self, tokens: tuple[Token, ...]) -> list[LiveEvent]:
        self._told += tokens
        text = text_of(tokens)
        return [ItemDelta(self.item_id, text, tokens, self._logprobs)] if text else []

    def _end_event(self, recognition: Recognition) -> LiveEvent:
        if self._error is not None:
            return ItemFailed(self.item_id, self._error, self.interrupted)
        transcript = self._assembler.finish((self._end - self._start) / SAMPLE_RATE).transcript
        if recognition.partials is not None and recognition.partials.consistent:
            transcript = replace(transcript, text=text_of(self._told), tokens=tuple(self._told))
        return ItemCompleted(
            self.item_id,
            transcript,
            recognition.model,
            self._logprobs,
            recognition.words,
            self.interrupted,
        )

    @property
    def _logprobs(self) -> bool:
        return self.recognition is not None and self.recognition.decoding.logprobs

    def _new_stable(self, emitted: tuple[Token, ...] = ()) -> StableText:
        options = self.partials.stability if self.partials is not None else StabilityOptions()
        return StableText(options, emitted)
