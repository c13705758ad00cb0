"""A live session in virtual time: what `LiveSession` does, step by step, without loop, threads or clock."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count

from gateway.audio.turns import SegmenterEvent, TurnOptions
from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import DecodeOptions
from gateway.errors import EngineFailedError, GatewayError
from gateway.flow.capture import Capture
from gateway.flow.options import LiveOptions, PartialOptions, Recognition
from gateway.flow.orders import Cancel, Final, Hear, Output, Partial
from gateway.flow.pacing import Load, Pacing
from gateway.flow.turns import Turns
from gateway.metrics import Metrics
from gateway.transcript import Hypothesis
from gateway.transcript.events import ItemCompleted, ItemDelta, ItemFailed, LiveEvent
from gateway.transcript.stable import StabilityOptions
from tests.fake_recognizer import FakeRecognizer
from tests.flow.speech import Script, ScriptedVad, sound, words_of

PARTIALS = PartialOptions(step=0.5, stability=StabilityOptions(2, 0))


def options(
    turns: TurnOptions | None = None,
    *,
    partials: PartialOptions | None = PARTIALS,
    decoding: DecodeOptions | None = None,
    engine: FakeRecognizer | None = None,
) -> LiveOptions:
    """16 kHz, by default with server_vad."""
    lease = (engine or FakeRecognizer()).lease
    recognition = Recognition(lease, "fake", decoding or DecodeOptions(), partials)
    return LiveOptions(rate=SAMPLE_RATE, turns=turns or TurnOptions(), recognition=recognition)


Respond = Callable[[Final | Partial], Hypothesis | GatewayError | None]


@dataclass
class Desk:
    """Turns, fed with scripted speech, and an engine that answers each order at once, or when the test does.

    Attributes:
        respond: Answers an order, or leaves it open by None.
        events: All that were emitted.
        finals: All that were ordered; so for ``partials``.
        cancelled: The orders that were cancelled.
        to_hear: The chunks whose speakers were asked for.
        now: Seconds of the clock of load and pacing.
    """

    first: LiveOptions
    script: Script
    respond: Callable[[Final | Partial], Hypothesis | GatewayError | None] = lambda order: words_of(
        order.chunk
    )
    events: list[LiveEvent] = field(default_factory=list)
    finals: list[Final] = field(default_factory=list)
    partials: list[Partial] = field(default_factory=list)
    cancelled: list[Final | Partial] = field(default_factory=list)
    to_hear: list[Hear] = field(default_factory=list)
    now: float = 0.0
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        """Nothing was said yet."""
        numbers = count()
        self.load = Load(lambda: self.now, self.metrics)
        self.capture = Capture(ScriptedVad(self.script).as_model(), self.first)
        pacing = Pacing(self.load, lambda: self.now, self.metrics)
        self.turns = Turns(lambda: f"item{next(numbers)}", pacing, self.first)

    def hear(self, seconds: float, step: float = 0.1) -> None:
        """So much audio, in steps each of which is worked on before the next comes."""
        for _ in range(round(seconds / step)):
            self._act(self.capture.feed(sound(step)))
            if self.capture.segmenter.speaking and self.turns.wants_partial(self.capture.segmenter.position):
                chunk = self.capture.segmenter.peek()
                assert chunk is not None
                self._obey(self.turns.decode_open(chunk))

    def commit(self) -> None:
        """Ends the utterance here."""
        self._act(self.capture.settle())
        self._act(self.capture.segmenter.commit())

    def clear(self) -> None:
        """Forgets the utterance that goes on."""
        self._act(self.capture.settle())
        self.capture.segmenter.clear()
        self._obey(self.turns.cleared(self.capture.segmenter.position))

    def configure(self, options: LiveOptions) -> None:
        """Other options hold from here on."""
        self.turns.options = options
        self._act(self.capture.configure(options))

    def answer(self, order: Final | Partial, outcome: Hypothesis | GatewayError | None = None) -> None:
        """By default with as many words as half seconds."""
        self._obey(self.turns.settled(order, words_of(order.chunk) if outcome is None else outcome))

    def of(self, kind: type[LiveEvent]) -> list[LiveEvent]:
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def text(self, item_id: str) -> str:
        """Its deltas, joined."""
        deltas = (event for event in self.events if isinstance(event, ItemDelta))
        return "".join(event.text for event in deltas if event.item_id == item_id)

    def completed(self) -> dict[str, str]:
        """The transcripts by item, in the order they came."""
        completed = (event for event in self.events if isinstance(event, ItemCompleted))
        return {event.item_id: event.transcript.text for event in completed}

    def failed(self) -> dict[str, str]:
        """The errors by item."""
        return {event.item_id: event.error.message for event in self.events if isinstance(event, ItemFailed)}

    def partials_counted(self, outcome: str) -> float:
        """The metric."""
        value = self.metrics.registry.get_sample_value("gateway_live_partials_total", {"outcome": outcome})
        return value or 0.0

    def _act(self, events: Iterable[SegmenterEvent]) -> None:
        self._segmented(events)
        while self.capture.segmenter.waiting:
            assert self.turns.knows_latest_words, "the test must answer before it speaks on"
            self._segmented(self.capture.segmenter.advance(self.turns.silence_samples()))
        self._obey(self.turns.advance())

    def _segmented(self, events: Iterable[SegmenterEvent]) -> None:
        for event in events:
            must_judge = self.capture.segmenter.waiting
            self._obey(self.turns.segmented(event, self.capture.segmenter.position, must_judge=must_judge))

    def _obey(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            match output:
                case Final():
                    self.finals.append(output)
                    self._settle(output)
                case Partial():
                    self.partials.append(output)
                    self._settle(output)
                case Hear():
                    self.to_hear.append(output)
                case Cancel(order):
                    self.cancelled.append(order)
                    self._obey(self.turns.settled(order, None))
                case event:
                    self.events.append(event)

    def _settle(self, order: Final | Partial) -> None:
        if (outcome := self.respond(order)) is not None:
            self._obey(self.turns.settled(order, outcome))


def finals_wait(order: Final | Partial) -> Hypothesis | None:
    """The test answers finals; partials are answered at once."""
    return None if isinstance(order, Final) else words_of(order.chunk)


def all_wait(_: Final | Partial) -> None:
    """The test answers."""


def broken(_: Final | Partial) -> GatewayError:
    """Nothing can be decoded."""
    return EngineFailedError("broken")
