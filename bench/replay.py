"""Speech through a live session's rules without server or clock: the position in the audio is the time.

The segmenter, the turns, their pacing and the engine are the gateway's own. What a decode takes is given, so
the same costs give the same figures.
"""

import math
from collections.abc import Iterable, Iterator
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
from gateway.flow.session import piece_seconds
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

LANES = 2


ALONE = 0.6
"""Of the CPU time that a decode takes with one thread, the time it takes with two cores to itself."""


@dataclass(eq=False, slots=True)
class Job:
    """What the engine will have made of an order, after so many seconds of CPU time more."""

    order: Final | Partial
    hypothesis: Hypothesis
    left: float
    is_wanted: bool = True


class Cores:
    """A worker's lanes on two cores in virtual time: a decode alone has both, of two each has one.

    Finals go before partials; what runs is not stopped.
    """

    def __init__(self) -> None:
        self._waiting: list[Job] = []
        self._running: list[Job] = []
        self._now = 0.0

    def ask(self, job: Job) -> None:
        """Takes one more."""
        is_final = isinstance(job.order, Final)
        at = sum(isinstance(each.order, Final) for each in self._waiting) if is_final else len(self._waiting)
        self._waiting.insert(at, job)
        self._begin()

    def cancel(self, order: Final | Partial) -> None:
        """Nobody wants that one any more. It frees its place where it still waits."""
        self._waiting = [job for job in self._waiting if job.order is not order]
        for job in self._running:
            job.is_wanted = job.is_wanted and job.order is not order

    def until(self, end: float) -> Iterator[tuple[float, Job]]:
        """Has time pass up to that second; gives what is done and wanted, and when, in that order."""
        while self._running:
            share = ALONE if len(self._running) == 1 else 1.0
            job = min(self._running, key=lambda each: each.left)
            done = self._now + job.left * share
            spent = (min(done, end) - self._now) / share
            for each in self._running:
                each.left -= spent
            self._now = min(done, end)
            if done > end:
                break
            self._running.remove(job)
            self._begin()
            if job.is_wanted:
                yield done, job
        self._now = max(self._now, end) if math.isfinite(end) else self._now

    def _begin(self) -> None:
        while self._waiting and len(self._running) < LANES:
            self._running.append(self._waiting.pop(0))


class Replay:
    """A session alone with two cores.

    Args:
        segmenter: A new one.
        options: Of partials, within ``recognition``, whose model is not asked.

    Attributes:
        transcripts: Finals by the numbers of their items.
        partial_seconds: What partials took, of CPU.
        final_seconds: What finals took, those of pauses included.
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
        self._cores = Cores()
        self.transcripts: dict[int, Transcript] = {}
        self.partial_seconds = 0.0
        self.final_seconds = 0.0
        self._now = 0.0
        numbers, metrics = count(), Metrics()
        pacing = Pacing(Load(lambda: self._now, metrics), lambda: self._now, metrics)
        live = LiveOptions(recognition=replace(recognition, partials=options))
        self._prefix = live.turns.vad.prefix_samples
        self._turns = Turns(lambda: str(next(numbers)), pacing, live)

    def run(self, samples: Samples) -> list[Item]:
        """The utterances of a recording which ends in silence, as a client would see them."""
        position = 0
        while position < len(samples):
            step = round(piece_seconds(self._turns, self._segmenter) * SAMPLE_RATE)
            piece = samples[position : position + step]
            events = self._segmenter.feed(piece)
            position += len(piece)
            self._settle(self._segmenter.position / SAMPLE_RATE)
            for event in events:
                if isinstance(event, UtteranceStarted):
                    self._items.append(self._begun(event.start))
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

    def _begun(self, start: int) -> Item:
        # Where speech went on after the end of a turn there is less padding, or none.
        speech = min(start + self._prefix, self._segmenter.position)
        return Item(audio_start=start / SAMPLE_RATE, speech_start=speech / SAMPLE_RATE)

    def _settle(self, until: float) -> None:
        """Takes the engine's answers up to a second, in the order in which it gives them; time goes there."""
        for now, job in self._cores.until(until):
            self._now = now
            self._obey(self._turns.settled(job.order, job.hypothesis))
        self._now = until

    def _obey(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            match output:
                case Final(chunk=chunk, recognition=recognition):
                    hypothesis = self._decoder.decode(chunk, recognition.decoding)
                    cost = self._costs.final.of(len(chunk.samples))
                    self.final_seconds += cost
                    self._cores.ask(Job(output, hypothesis, cost))
                case Partial(chunk=chunk, recognition=recognition, options=options, most_tokens=most):
                    hypothesis = self._decoder.decode(
                        chunk, _decoding(recognition, options), hurried=True, most_tokens=most
                    )
                    cost = self._costs.partial.of(len(chunk.samples))
                    self.partial_seconds += cost
                    self._cores.ask(Job(output, hypothesis, cost))
                case Cancel(order):
                    self._cores.cancel(order)
                    self._turns.settled(order, None)
                case ItemDelta(item_id, text):
                    self._items[int(item_id)].deltas.append((self._now, text))
                case ItemCompleted(item_id, transcript):
                    self._items[int(item_id)].completed = self._now
                    self._items[int(item_id)].transcript = transcript.text
                    self.transcripts[int(item_id)] = transcript


def _decoding(recognition: Recognition, options: PartialOptions) -> DecodeOptions:
    """As `RowStream.partial` asks for it."""
    is_asked = options.stability.evidence > 0
    return replace(recognition.decoding, beam_size=options.beam_size, words=False, logprobs=is_asked)


def costs_of(engine: Engine, seconds: int) -> Costs:
    """What the default delay's partials and finals take, of so much of the miniature's speech."""
    samples, recognition = speech(seconds), _ENGLISH_BY_NOBODY
    partials = _decoding(recognition, DELAYS[DEFAULT_DELAY])
    return Costs(measure(engine, samples, partials, hurried=True), measure(engine, samples, ENGLISH))
