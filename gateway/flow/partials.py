"""Partial hypotheses, of utterances that go on: a luxury, of which one is in flight at most."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace

import anyio

from gateway.audio.types import SAMPLE_RATE, Chunk
from gateway.engine.api import DecodeOptions, DecodeRequest, Priority, Recognizer
from gateway.errors import GatewayError, SupersededError
from gateway.flow.load import LiveLoad
from gateway.flow.options import PartialOptions, Recognition
from gateway.flow.utterance import Utterance
from gateway.metrics import Metrics
from gateway.transcript import Hypothesis

BREATH = 1.5
"""So many times as long as a partial took, the next one waits at least: under load they thin out."""


@dataclass(eq=False, slots=True)
class Partial:
    """One of them, of the chunk being spoken, as far as it was fed."""

    utterance: Utterance
    recognition: Recognition
    options: PartialOptions
    chunk: Chunk
    number: int
    """Of the chunk within its utterance."""
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class Partials:
    """Those of one session.

    Args:
        stream: Whose rows they are.
        clock: Seconds.
    """

    def __init__(
        self, load: LiveLoad, metrics: Metrics, stream: Hashable, clock: Callable[[], float]
    ) -> None:
        self._load = load
        self._outcomes = metrics.live_partials
        self._stream = stream
        self._clock = clock
        self._running: Partial | None = None
        self._due = 0.0

    def is_due(self, position: int, options: PartialOptions) -> bool:
        """Whether there is new audio enough, and time; where there is no time, it is put off by a step."""
        if self._running is not None or position < self._due:
            return False
        if not self._load.allows_partials:
            self._outcomes.labels("dropped").inc()
            self.put_off(position, options)
            return False
        return True

    def put_off(self, position: int, options: PartialOptions) -> None:
        """The next one is due a step from here."""
        self._due = position + options.step * SAMPLE_RATE

    def add(
        self, utterance: Utterance, recognition: Recognition, options: PartialOptions, chunk: Chunk
    ) -> Partial:
        """A new one, for `decode`, while one is due."""
        self._running = partial = Partial(utterance, recognition, options, chunk, utterance.pieces)
        return partial

    def give_up(self) -> None:
        """What is in flight comes too late."""
        if self._running is not None:
            self._running.scope.cancel()
            self._running = None

    async def decode(
        self, partial: Partial, language: str | None, tell: Callable[[Partial, Hypothesis], bool]
    ) -> None:
        """Returns when it is done.

        Args:
            language: That of the session's finals, if it is known.
            tell: Told the hypothesis; whether it came in time.
        """
        began, outcome = self._clock(), "dropped"
        with partial.scope:
            try:
                async with partial.recognition.model.lease() as recognizer:
                    hypothesis = await recognizer.transcribe(
                        _request(partial, recognizer, language),
                        stream=self._stream,
                        priority=Priority.LIVE_PARTIAL,
                    )
                if tell(partial, hypothesis):
                    outcome = "decoded"
            except (SupersededError, GatewayError):
                # The next one may be luckier; the final is decoded whatever happens.
                pass
        self._outcomes.labels(outcome).inc()
        if self._running is partial:
            self._running = None
            took = self._clock() - began
            self._due = partial.chunk.end + max(partial.options.step, BREATH * took) * SAMPLE_RATE


def _request(partial: Partial, recognizer: Recognizer, language: str | None) -> DecodeRequest:
    capabilities = recognizer.capabilities
    decoding = partial.recognition.decoding
    if language not in (decoding.languages or capabilities.languages):
        language = None
    told = partial.utterance.told if partial.options.prefix and capabilities.prefix else ()
    return DecodeRequest(
        partial.chunk.samples,
        _options(decoding, partial.options, language),
        prefix_tokens=tuple(token.id for token in told),
    )


def _options(decoding: DecodeOptions, options: PartialOptions, known: str | None) -> DecodeOptions:
    """A second of speech is too little to tell its language by: that of the last final is likelier."""
    language = decoding.language or known
    return replace(
        decoding,
        language=language,
        languages=() if language else decoding.languages,
        words=False,
        beam_size=options.beam_size,
    )
