"""Speech through a live session's rules without server or clock: the position in the audio is the time.

The segmenter, the turns, their pacing and the engine are the gateway's own. What a decode takes is given, so
the same costs give the same figures.
"""

import math
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, cast

from bench.audio import speech
from bench.engines import ENGLISH, Costs, Decoder, measure
from bench.realtime import Item
from gateway.audio.segmenter import Segmenter
from gateway.audio.turns import UtteranceEnded, UtteranceStarted
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.engine.api import DecodeOptions, Engine
from gateway.flow.options import LiveOptions, PartialOptions, Recognition
from gateway.flow.orders import Cancel, Final, Output, Partial
from gateway.flow.pacing import Load, Pacing
from gateway.flow.session import LEAST_QUIET_SECONDS, LEAST_SECONDS
from gateway.flow.turns import Turns
from gateway.metrics import Metrics
from gateway.server.live_options import _DEFAULT_DELAY, _DELAYS
from gateway.transcript import Hypothesis, Transcript
from gateway.transcript.events import ItemCompleted, ItemDelta

DEFAULT_DELAY, DELAYS = _DEFAULT_DELAY, _DELAYS

# Nobody asks a recognition for its model but who decodes.
_ENGLISH_BY_NOBODY = Recognition(cast("Any", nullcontext), "replayed", ENGLISH)

SPEECH_SECONDS = 20
"""By which engines are timed."""


@dataclass(eq=False, slots=True)
class _Answer:
    """What the engine makes of an order, and the second at which it is ready."""

    order: Final | Partial
    hypothesis: Hypothesis
    ready: float


class Replay:
    """A session alone with an engine that does one thing at a time.

    Args:
        segmenter: A new one.
        options: Of partials, within ``recognition``, whose model is not asked.

    Attributes:
        transcripts: Finals by the numbers of their items.
        partial_seconds: What partials took.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        decoder: Decoder,
        costs: Costs,
        recognition: Recognition,
        options: PartialOptions,
    ) -> None:
        self._segmenter = segmenter
        self._decoder = decoder
        self._costs = costs
        self._items: list[Item] = []
        self._answers: list[_Answer] = []
        self.transcripts: dict[int, Transcript] = {}
        self.partial_seconds = 0.0
        self._now = 0.0
        self._free = 0.0
        """The second at which the engine can begin with something else."""
        numbers, metrics = count(), Metrics()
        pacing = Pacing(Load(lambda: self._now, metrics), lambda: self._now, metrics)
        live = LiveOptions(recognition=replace(recognition, partials=options))
        self._turns = Turns(lambda: str(next(numbers)), pacing, live)

    def run(self, samples: Samples) -> list[Item]:
        """The utterances of a recording which ends in silence, as a client would see them."""
        position = 0
        while position < len(samples):
            step = LEAST_SECONDS if self._turns.is_open else LEAST_QUIET_SECONDS
            piece = samples[position : position + round(step * SAMPLE_RATE)]
            events = self._segmenter.feed(piece)
            position += len(piece)
            self._settle(self._segmenter.position / SAMPLE_RATE)
            for event in events:
                if isinstance(event, UtteranceStarted):
                    self._items.append(Item(audio_start=event.start / SAMPLE_RATE))
                if isinstance(event, UtteranceEnded):
                    item = self._items[-1]
                    item.audio_end, item.released = event.end / SAMPLE_RATE, len(item.deltas)
                self._obey(self._turns.segmented(event, self._segmenter.position))
            self._obey(self._turns.advance())
            if self._segmenter.speaking and self._turns.wants_partial(self._segmenter.position):
                chunk = self._segmenter.peek()
                self._obey(() if chunk is None else self._turns.decode_open(chunk))
        self._settle(math.inf)
        return self._items

    def _settle(self, until: float) -> None:
        """Takes the engine's answers up to a second, in the order in which it gives them; time goes there."""
        while ready := [answer for answer in self._answers if answer.ready <= until]:
            answer = min(ready, key=lambda one: one.ready)
            self._answers.remove(answer)
            self._now = answer.ready
            self._obey(self._turns.settled(answer.order, answer.hypothesis))
        self._now = until

    def _obey(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            match output:
                case Final(chunk=chunk, recognition=recognition):
                    hypothesis = self._decoder.decode(chunk, recognition.decoding)
                    self._ask(output, hypothesis, self._costs.final.of(len(chunk.samples)))
                case Partial(chunk=chunk, recognition=recognition, options=options):
                    hypothesis = self._decoder.decode(chunk, _decoding(recognition, options), hurried=True)
                    cost = self._costs.partial.of(len(chunk.samples))
                    self.partial_seconds += cost
                    self._ask(output, hypothesis, cost)
                case Cancel(order):
                    # The engine does not stop for it.
                    self._answers = [answer for answer in self._answers if answer.order is not order]
                    self._turns.settled(order, None)
                case ItemDelta(item_id, text):
                    self._items[int(item_id)].deltas.append((self._now, text))
                case ItemCompleted(item_id, transcript):
                    self._items[int(item_id)].completed = self._now
                    self._items[int(item_id)].transcript = transcript.text
                    self.transcripts[int(item_id)] = transcript

    def _ask(self, order: Final | Partial, hypothesis: Hypothesis, cost: float) -> None:
        self._free = max(self._now, self._free) + cost
        self._answers.append(_Answer(order, hypothesis, self._free))


def _decoding(recognition: Recognition, options: PartialOptions) -> DecodeOptions:
    """As `RowStream.partial` asks for it."""
    is_asked = options.stability.sure > 0
    return replace(recognition.decoding, beam_size=options.beam_size, words=False, logprobs=is_asked)


def costs_of(engine: Engine, seconds: int) -> Costs:
    """What the default delay's partials and finals take, of so much of the miniature's speech."""
    samples, recognition = speech(seconds), _ENGLISH_BY_NOBODY
    partials = _decoding(recognition, DELAYS[DEFAULT_DELAY])
    return Costs(measure(engine, samples, partials, hurried=True), measure(engine, samples, ENGLISH))
