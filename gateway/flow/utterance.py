"""One utterance: its chunks' hypotheses on the way to text that only grows."""

from dataclasses import dataclass

from gateway.audio.types import SAMPLE_RATE, Chunk
from gateway.errors import GatewayError
from gateway.flow.options import PartialOptions, Recognition
from gateway.transcript import Assembler, Hypothesis, TextDelta, Token
from gateway.transcript.assembler import UNSPACED_LANGUAGES
from gateway.transcript.events import ItemCompleted, ItemDelta, ItemFailed, LiveEvent
from gateway.transcript.stable import StabilityOptions, StableText


@dataclass(slots=True)
class _Piece:
    """A chunk that is complete, and what the engine made of it."""

    start: float
    end: float
    outcome: Hypothesis | GatewayError | None = None


class Utterance:
    """An item on its way to its text.

    Args:
        start: Position of its first sample.
        recognition: None: there will be no text.

    Attributes:
        closed: No more chunks come.
        announced: Its beginning was told, so its end will be, whatever turns are from then on.
    """

    def __init__(self, item: str, start: int, recognition: Recognition | None) -> None:
        self.item = item
        self.recognition = recognition
        self.closed = False
        self.announced = False
        self._start = start
        self._end = start
        self._pieces: list[_Piece] = []
        self._told = 0
        """So many pieces are told."""
        self._assembler = Assembler()
        self._stable = self._new_stable()
        self._error: GatewayError | None = None

    @property
    def partials(self) -> PartialOptions | None:
        """How it is decoded while it goes on, if it is."""
        return self.recognition.partials if self.recognition is not None else None

    @property
    def pieces(self) -> int:
        """Complete chunks so far; also the number of the one being spoken."""
        return len(self._pieces)

    @property
    def undecided(self) -> int:
        """Complete chunks the engine has not answered yet."""
        return sum(piece.outcome is None for piece in self._pieces)

    @property
    def told(self) -> tuple[Token, ...]:
        """Of the chunk being spoken, what was told of it."""
        return self._stable.told if self._told == len(self._pieces) else ()

    @property
    def follows(self) -> bool:
        """All pieces are told, so that a partial of the one being spoken could be."""
        return self._told == len(self._pieces)

    def add(self, chunk: Chunk) -> int:
        """A chunk is complete; returns its number for `settle`."""
        self._pieces.append(_Piece(chunk.start / SAMPLE_RATE, chunk.end / SAMPLE_RATE))
        return len(self._pieces) - 1

    def settle(self, number: int, outcome: Hypothesis | GatewayError) -> None:
        """The engine has answered a piece."""
        self._pieces[number].outcome = outcome

    def close(self, end: int) -> None:
        """The utterance is over."""
        self.closed = True
        self._end = end

    def partial(self, number: int, hypothesis: Hypothesis, *, paused: bool) -> list[LiveEvent]:
        """What a hypothesis of the chunk being spoken adds to what is told; nothing if it comes too late."""
        if number != len(self._pieces) or not self.follows:
            return []
        preview = self._assembler.preview(hypothesis)
        tokens = preview.tokens if preview is not None else ()
        return self._delta(self._stable.partial(tokens, paused=paused, spaced=_is_spaced(hypothesis)))

    def advance(self) -> list[LiveEvent]:
        """What can be told now; to be called while no earlier utterance has anything to tell."""
        if self.recognition is None or (self.partials is None and not self.closed):
            return []
        events: list[LiveEvent] = []
        while self._told < len(self._pieces):
            piece = self._pieces[self._told]
            if piece.outcome is None:
                return events
            events += self._tell(piece, piece.outcome)
            self._told += 1
            self._stable = self._new_stable()
        if self.closed:
            events.append(self._end_event(self.recognition))
        return events

    def _tell(self, piece: _Piece, outcome: Hypothesis | GatewayError) -> list[LiveEvent]:
        if isinstance(outcome, GatewayError):
            self._error = outcome
            return []
        known = self._assembler.add(outcome, start=piece.start, end=piece.end)
        tokens = [token for event in known if isinstance(event, TextDelta) for token in event.tokens]
        return self._delta(self._stable.final(tokens, spaced=_is_spaced(outcome)))

    def _delta(self, tokens: tuple[Token, ...]) -> list[LiveEvent]:
        text = b"".join(token.raw for token in tokens).decode(errors="replace")
        return [ItemDelta(self.item, text, tokens, self._logprobs)] if text else []

    def _end_event(self, recognition: Recognition) -> LiveEvent:
        if self._error is not None:
            return ItemFailed(self.item, self._error)
        done = self._assembler.finish((self._end - self._start) / SAMPLE_RATE)
        return ItemCompleted(self.item, done.transcript, recognition.name, self._logprobs)

    @property
    def _logprobs(self) -> bool:
        return self.recognition is not None and self.recognition.decoding.logprobs

    def _new_stable(self) -> StableText:
        return StableText(self.partials.stability if self.partials is not None else StabilityOptions())


def _is_spaced(hypothesis: Hypothesis) -> bool:
    return hypothesis.language not in UNSPACED_LANGUAGES
