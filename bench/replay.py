"""Speech through a live session's rules without server or clock: the position in the audio is the time.

The segmenter, the utterances, their stable text and the engine are the gateway's own; when a hypothesis is
made, given up and told is as in `gateway.flow.session` and `gateway.flow.partials`. What a decode takes is
given, so the same costs give the same figures.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from bench.audio import speech
from bench.engines import ENGLISH, Costs, Decoder, measure
from bench.realtime import Item, Session
from bench.talk import Talk
from gateway.audio.segmenter import Segmenter
from gateway.audio.silero import SileroModel
from gateway.audio.turns import (
    ChunkReady,
    SegmenterEvent,
    TurnOptions,
    UtteranceEnded,
    UtterancePaused,
    UtteranceStarted,
)
from gateway.audio.types import SAMPLE_RATE, Chunk, Samples
from gateway.engine.api import EngineSpec, Model
from gateway.flow.options import PartialOptions, Recognition
from gateway.flow.partials import BREATH
from gateway.flow.session import LEAST_QUIET_SECONDS, LEAST_SECONDS
from gateway.flow.utterance import Utterance
from gateway.server.live_options import _DEFAULT_DELAY, _DELAYS, _SETTLED
from gateway.transcript import Hypothesis
from gateway.transcript.events import ItemCompleted, ItemDelta, LiveEvent

DEFAULT_DELAY, DELAYS, SETTLED = _DEFAULT_DELAY, _DELAYS, _SETTLED

SPEECH_SECONDS = 20
"""By which engines are timed."""

_Kind = Literal["partial", "pause", "final"]


@dataclass(eq=False, slots=True)
class _Answer:
    """What the engine makes of an utterance's chunk: at which second, and how many after it was asked."""

    kind: _Kind
    utterance: Utterance
    number: int
    chunk: Chunk
    hypothesis: Hypothesis
    ready: float
    took: float


class Replay:
    """A session alone with an engine that does one thing at a time.

    Args:
        segmenter: A new one.
        options: Of partials, within ``recognition``, whose model is not asked.
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
        self._recognition = replace(recognition, partials=options)
        self._options = options
        self._items: list[Item] = []
        self._utterances: list[Utterance] = []
        """Those that have something to tell yet."""
        self._current: Utterance | None = None
        self._answers: list[_Answer] = []
        """Those that are not told yet."""
        self._pause: _Answer | None = None
        """Of the chunk that is not complete yet."""
        self._due = 0.0
        """The position of the next partial, in samples."""
        self._free = 0.0
        """The second at which the engine can begin with something else."""

    def run(self, samples: Samples) -> list[Item]:
        """The utterances of a recording which ends in silence, as a client would see them."""
        position = 0
        while position < len(samples):
            step = LEAST_QUIET_SECONDS if self._current is None else LEAST_SECONDS
            piece = samples[position : position + round(step * SAMPLE_RATE)]
            events = self._segmenter.feed(piece)
            position += len(piece)
            self._tell_answers(self._now)
            for event in events:
                self._take(event)
            self._consider_partial()
        self._tell_answers(math.inf)
        return self._items

    @property
    def _now(self) -> float:
        return self._segmenter.position / SAMPLE_RATE

    def _take(self, event: SegmenterEvent) -> None:
        utterance = self._current
        match event:
            case UtteranceStarted(_, start):
                self._current = Utterance(str(len(self._items)), start, self._recognition)
                self._utterances.append(self._current)
                self._items.append(Item(audio_start=start / SAMPLE_RATE))
                self._put_off()
            case UtterancePaused(chunk) if utterance is not None:
                self._give_up("partial", "pause")
                self._pause = self._ask("pause", utterance, chunk)
                self._put_off()
            case ChunkReady(chunk) if utterance is not None:
                self._complete(utterance, chunk)
            case UtteranceEnded(_, _, end) if utterance is not None:
                utterance.close(end)
                item = self._items[int(utterance.item)]
                item.audio_end, item.released = end / SAMPLE_RATE, len(item.deltas)
                self._current = None
                self._advance(self._now)

    def _complete(self, utterance: Utterance, chunk: Chunk) -> None:
        """What was decoded at its pause is the final hypothesis, if no more was said."""
        self._give_up("partial")
        final, self._pause = self._pause, None
        if final is None or (final.chunk.start, final.chunk.end) != (chunk.start, chunk.end):
            self._give_up("pause")
            final = self._ask("final", utterance, chunk)
        final.kind, final.ready = "final", max(final.ready, self._now)
        utterance.add(chunk)
        if final not in self._answers:
            self._answers.append(final)

    def _consider_partial(self) -> None:
        utterance = self._current
        if utterance is None or not self._segmenter.speaking:
            return
        if not (self._speaks(utterance) and utterance.follows):
            return
        if self._segmenter.position < self._due or any(one.kind == "partial" for one in self._answers):
            return
        chunk = self._segmenter.peek()
        if chunk is not None:
            self._ask("partial", utterance, chunk)

    def _put_off(self) -> None:
        self._due = self._segmenter.position + self._options.step * SAMPLE_RATE

    def _give_up(self, *kinds: _Kind) -> None:
        """The engine does not stop for it."""
        self._answers = [answer for answer in self._answers if answer.kind not in kinds]

    def _ask(self, kind: _Kind, utterance: Utterance, chunk: Chunk) -> _Answer:
        decoding, cost, prefix = self._recognition.decoding, self._costs.final, tuple[int, ...]()
        if kind == "partial":
            decoding, cost = replace(decoding, beam_size=self._options.beam_size), self._costs.partial
            if self._options.prefix:
                prefix = tuple(token.id for token in utterance.told)
        hypothesis = self._decoder.decode(chunk, decoding, prefix)
        self._free = ready = max(self._now, self._free) + cost.of(len(chunk.samples))
        answer = _Answer(kind, utterance, utterance.pieces, chunk, hypothesis, ready, ready - self._now)
        self._answers.append(answer)
        return answer

    def _tell_answers(self, until: float) -> None:
        """In the order in which the engine gave them."""
        ready = sorted((one for one in self._answers if one.ready <= until), key=lambda one: one.ready)
        for answer in ready:
            self._answers.remove(answer)
            if answer.kind == "final":
                answer.utterance.settle(answer.number, answer.hypothesis)
                self._advance(answer.ready)
                continue
            if self._speaks(answer.utterance):
                paused = answer.kind == "pause"
                events = answer.utterance.partial(answer.number, answer.hypothesis, paused=paused)
                self._tell(events, answer.ready)
            if answer.kind == "partial":
                wait = max(self._options.step, BREATH * answer.took)
                self._due = answer.chunk.end + wait * SAMPLE_RATE

    def _speaks(self, utterance: Utterance) -> bool:
        """No earlier one has anything to tell."""
        return bool(self._utterances) and self._utterances[0] is utterance

    def _advance(self, now: float) -> None:
        while self._utterances:
            head = self._utterances[0]
            self._tell(head.advance(), now)
            if not head.closed or head.undecided:
                break
            self._utterances.pop(0)

    def _tell(self, events: list[LiveEvent], now: float) -> None:
        for event in events:
            match event:
                case ItemDelta(item, text):
                    self._items[int(item)].deltas.append((now, text))
                case ItemCompleted(item, transcript):
                    self._items[int(item)].completed = now
                    self._items[int(item)].transcript = transcript.text


def replay(
    spec: EngineSpec, turns: Sequence[Talk], options: Mapping[str, PartialOptions]
) -> tuple[Costs, dict[str, list[Session]]]:
    """What the engine costs, and by the names of ``options`` a session for each turn."""
    engine, vad, samples = spec.load(), SileroModel.load(), speech(SPEECH_SECONDS)
    partials = replace(ENGLISH, beam_size=PartialOptions().beam_size)
    costs = Costs(measure(engine, samples, partials), measure(engine, samples, ENGLISH))
    # Nobody asks a recognition for its model but who decodes.
    recognition = Recognition(cast("Model", spec), spec.name, ENGLISH, None)
    sessions: dict[str, list[Session]] = {name: [] for name in options}
    for turn in turns:
        decoder = Decoder(engine)
        for name, variant in options.items():
            segmenter = Segmenter(vad.stream(), TurnOptions())
            items = Replay(segmenter, decoder, costs, recognition, variant).run(turn.samples)
            sessions[name].append(Session(turn.said, created=True, items=items))
    return costs, sessions
