"""The turns of a live session, sans-I/O: utterances and hypotheses in, events and orders to decode out.

Nothing here waits, reads a clock or touches audio: `gateway.flow.session` feeds it and obeys.
"""

from collections import deque
from collections.abc import Callable, Sequence

from gateway.audio.turns import (
    ChunkReady,
    IdleTimeout,
    SegmenterEvent,
    TurnMode,
    UtteranceEnded,
    UtterancePaused,
    UtteranceStarted,
)
from gateway.audio.types import SAMPLE_RATE, Chunk
from gateway.errors import GatewayError
from gateway.flow.options import LiveOptions, Recognition
from gateway.flow.orders import Cancel, Final, Hear, Output, Partial
from gateway.flow.pacing import Pacing
from gateway.flow.utterance import Utterance
from gateway.transcript import Hypothesis
from gateway.transcript.events import (
    BufferCleared,
    BufferCommitted,
    SpeechStarted,
    SpeechStopped,
    TimeoutTriggered,
)
from gateway.transcript.speakers import SpeakerNames, Turn
from gateway.transcript.writing import MAX_SILENCE_SECONDS, silence_seconds


class Turns:
    """One session's utterances, from the segmenter's events and the engine's answers to what is emitted.

    Utterances emit one after the other, so deltas of two items never interleave. Every method returns the
    events and orders it causes, in their order.

    Args:
        new_item_id: Makes an item's id.
        pacing: Says when a partial is due, and is told how they fare.
    """

    def __init__(self, new_item_id: Callable[[], str], pacing: Pacing, options: LiveOptions) -> None:
        self.options = options
        self._new_item_id = new_item_id
        self._pacing = pacing
        self._names = SpeakerNames()
        self._utterances: deque[Utterance] = deque()
        self._current: Utterance | None = None
        self._pause: Final | None = None
        """Of the chunk that is not complete yet."""
        self._latest: Final | None = None
        """Of the current utterance's latest words."""
        self._finals: list[Final] = []
        self._partial: Partial | None = None

    @property
    def is_idle(self) -> bool:
        """Everything that was said is emitted."""
        return not self._utterances

    @property
    def is_open(self) -> bool:
        """An utterance goes on."""
        return self._current is not None

    @property
    def undecided(self) -> int:
        """Complete chunks that the engine has not answered yet."""
        return sum(utterance.undecided for utterance in self._utterances)

    @property
    def knows_latest_words(self) -> bool:
        """The hypothesis of what was said last is there, or none is coming."""
        return self._latest is None or self._latest.is_done

    @property
    def longest_silence(self) -> float:
        """Seconds of silence that end a turn whatever was said before it."""
        return MAX_SILENCE_SECONDS[self.options.eagerness]

    def silence_samples(self) -> int:
        """How long this silence may be: by the words before it, or the longest where they are not known."""
        seconds = self.longest_silence
        if self._latest is not None and isinstance(self._latest.outcome, Hypothesis):
            text = "".join(segment.text for segment in self._latest.outcome.segments)
            seconds = silence_seconds(text, self.options.eagerness)
        return round(seconds * SAMPLE_RATE)

    def segmented(self, event: SegmenterEvent, position: int, *, must_judge: bool = False) -> list[Output]:
        """Takes what the segmenter says; `advance` follows when it has nothing more to say.

        Args:
            position: Samples that the session has taken in.
            must_judge: The segmenter waits to be told how long this silence may be.
        """
        match event:
            case UtteranceStarted(start, detected):
                return self._begin(start, position, detected=detected)
            case UtterancePaused(chunk):
                return self._decode_ahead(chunk, must_judge=must_judge)
            case ChunkReady(chunk):
                return self._complete(chunk)
            case UtteranceEnded(end):
                return self._end(end)
            case IdleTimeout(start, end):
                begun = self._begin(start, position, detected=False)
                item_id = self._utterances[-1].item_id
                timeout = TimeoutTriggered(item_id, start / SAMPLE_RATE, end / SAMPLE_RATE)
                return [*begun, timeout, *self._end(end)]

    def settled(self, order: Final | Partial, outcome: Hypothesis | GatewayError | None) -> list[Output]:
        """Takes the engine's answer to an order; None where it was cancelled."""
        if isinstance(order, Partial):
            return self._partial_settled(order, outcome)
        self._finals.remove(order)
        if order.is_done or outcome is None:
            order.is_done = True  # it was cancelled
            return []
        order.outcome, order.is_done = outcome, True
        if order.number is not None:
            order.utterance.settle(order.number, outcome)
            return self.advance()
        # What was said until a pause is a hypothesis, too.
        utterance = order.utterance
        if isinstance(outcome, Hypothesis) and order is self._pause:
            orders = self._cancel_partial() if self._is_older(order) else []
            utterance.partial(utterance.chunks, outcome, paused=True)
            return [*orders, *self.advance()]
        return []

    def heard(self, order: Hear, turns: Sequence[Turn]) -> list[Output]:
        """Takes who speaks in a chunk."""
        order.utterance.heard(order.number, turns)
        return self.advance()

    def wants_partial(self, position: int) -> bool:
        """Whether to call `decode_open`: somebody speaks, and a partial is due.

        Also while the text of the turn before is not out: behind it come this one's first words.
        """
        utterance = self._current
        if utterance is None or utterance.partials is None or not utterance.is_caught_up:
            return False
        return self._pacing.is_due(position, utterance.partials)

    def decode_open(self, chunk: Chunk) -> list[Output]:
        """Takes the chunk that goes on, as it stands."""
        utterance = self._current
        if utterance is None or utterance.recognition is None or utterance.partials is None:
            return []
        options = utterance.partials
        order = Partial(
            utterance, utterance.recognition, options, chunk, utterance.chunks, utterance.most_tokens
        )
        self._partial = order
        self._pacing.begin()
        return [order]

    def interrupt(self) -> None:
        """Takes note that the utterance which goes on will be ended in the middle."""
        if self._current is not None:
            self._current.interrupted = True

    def cleared(self, position: int) -> list[Output]:
        """Forgets the utterance that goes on; where its beginning was told, so is its end.

        Args:
            position: Samples that the session has taken in.
        """
        orders = self._cancel_partial()
        self._pause = self._latest = None
        if self._current is not None:
            orders += [self._cancelled(each) for each in self._finals if each.utterance is self._current]
            self._utterances.remove(self._current)
            if self._current.announced:
                orders.append(SpeechStopped(self._current.item_id, position / SAMPLE_RATE))
            self._current = None
        return [*orders, *self.advance(), BufferCleared()]

    def advance(self) -> list[Output]:
        """What can be emitted now, one utterance after the other."""
        events: list[Output] = []
        while self._utterances:
            head = self._utterances[0]
            events += head.advance()
            if not head.closed or (head.recognition is not None and head.undecided):
                break
            self._utterances.popleft()
        return events

    def _begin(self, start: int, position: int, *, detected: bool) -> list[Output]:
        utterance = Utterance(self._new_item_id(), start, self.options.recognition, self._names)
        self._current = utterance
        self._utterances.append(utterance)
        if utterance.partials is not None:
            self._pacing.put_off(position, utterance.partials)
        if not detected or self.options.turns.mode is TurnMode.MANUAL:
            return []
        utterance.announced = True
        return [SpeechStarted(utterance.item_id, start / SAMPLE_RATE)]

    def _complete(self, chunk: Chunk) -> list[Output]:
        """The chunk's text is that of its pause, if it was decoded ahead, or a new final's."""
        orders = self._cancel_partial()
        ahead, self._pause = self._pause, None
        utterance = self._current
        if utterance is None or utterance.recognition is None:
            return orders
        number = utterance.add(chunk)
        if utterance.recognition.speakers is not None:
            orders.append(Hear(utterance, utterance.recognition.speakers, chunk, number))
        if ahead is None or not ahead.serves(chunk):
            if ahead is not None and not ahead.is_done:
                orders.append(self._cancelled(ahead))
            return [*orders, self._order_final(utterance, utterance.recognition, chunk, number)]
        ahead.number = number
        if ahead.outcome is not None:
            utterance.settle(number, ahead.outcome)
        return orders

    def _end(self, end: int) -> list[Output]:
        utterance, self._current, self._latest = self._current, None, None
        if utterance is None:
            return []
        utterance.close(end)
        events: list[Output] = []
        if utterance.announced:
            events.append(SpeechStopped(utterance.item_id, end / SAMPLE_RATE))
        return [*events, BufferCommitted(utterance.item_id, end / SAMPLE_RATE), *self.advance()]

    def _decode_ahead(self, chunk: Chunk, *, must_judge: bool) -> list[Output]:
        """Decodes what may be the utterance's last chunk before its silence is over.

        A partial of what was said goes on beside it: it is sooner there, and what both have is emitted.
        """
        utterance, orders = self._current, list[Output]()
        if self._pause is not None and not self._pause.is_done:
            orders.append(self._cancelled(self._pause))
        self._pause = None
        if utterance is None or utterance.recognition is None:
            return orders
        if not (self._pacing.allows_ahead or must_judge):
            return orders
        if utterance.partials is None and self.options.turns.mode is TurnMode.MANUAL:
            return orders
        self._pause = self._order_final(utterance, utterance.recognition, chunk, None)
        orders.append(self._pause)
        return orders

    def _order_final(
        self, utterance: Utterance, recognition: Recognition, chunk: Chunk, number: int | None
    ) -> Final:
        self._latest = order = Final(utterance, recognition, chunk, number)
        self._finals.append(order)
        return order

    def _cancelled(self, order: Final) -> Cancel:
        order.is_done = True
        return Cancel(order)

    def _cancel_partial(self) -> list[Output]:
        order, self._partial = self._partial, None
        if order is None:
            return []
        self._pacing.cancel()
        return [Cancel(order)]

    def _partial_settled(self, order: Partial, outcome: Hypothesis | GatewayError | None) -> list[Output]:
        if order is not self._partial:
            return []  # it was cancelled
        self._partial = None
        if isinstance(outcome, Hypothesis):
            order.utterance.partial(order.number, outcome, paused=False)
        events = self.advance()
        in_time = isinstance(outcome, Hypothesis)
        self._pacing.end(order.chunk.end, order.utterance.partials or order.options, in_time=in_time)
        return events

    def _is_older(self, order: Final) -> bool:
        """The partial in flight has heard no more than that final."""
        return self._partial is not None and self._partial.chunk.end <= order.chunk.end
