"""Final hypotheses: of chunks that are complete, and of pauses, in the hope that nothing more is said."""

from collections.abc import Hashable
from contextlib import nullcontext
from dataclasses import dataclass, field

import anyio

from gateway.audio.types import Chunk
from gateway.engine.api import DecodeRequest, Priority
from gateway.errors import EngineFailedError, GatewayError
from gateway.flow.load import LiveLoad
from gateway.flow.options import Recognition
from gateway.flow.recording import SURE
from gateway.flow.utterance import Utterance
from gateway.metrics import Metrics
from gateway.transcript import Hypothesis


@dataclass(eq=False, slots=True)
class Final:
    """One of them.

    Attributes:
        counts: It says how loaded the machine is. With a client faster than speech it says nothing.
        done: Set when there is an outcome, or it was given up.
        outcome: None while it is decoded, and where it was given up.
    """

    utterance: Utterance
    chunk: Chunk
    counts: bool = True
    done: anyio.Event = field(default_factory=anyio.Event)
    outcome: Hypothesis | GatewayError | None = None
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def serves(self, chunk: Chunk) -> bool:
        """It is of this very chunk, and has not failed for a reason that may pass."""
        span = (self.chunk.start, self.chunk.end)
        if isinstance(self.outcome, GatewayError) and not isinstance(self.outcome, EngineFailedError):
            return False
        return span == (chunk.start, chunk.end)

    def give_up(self) -> None:
        """Nobody wants it any more."""
        self.scope.cancel()


class Finals:
    """Those of one session.

    Args:
        stream: Whose rows they are.

    Attributes:
        language: That of the last one which was sure of it.
        running: Those that are not done.
    """

    def __init__(self, load: LiveLoad, metrics: Metrics, stream: Hashable) -> None:
        self._load = load
        self._metrics = metrics
        self._stream = stream
        self.running: set[Final] = set()
        self.language: str | None = None

    def add(self, utterance: Utterance, chunk: Chunk, *, counts: bool = True) -> Final:
        """A new one, for `decode`."""
        final = Final(utterance, chunk, counts)
        self.running.add(final)
        return final

    def give_up(self, utterance: Utterance) -> None:
        """All of an utterance that nobody wants any more."""
        for final in self.running:
            if final.utterance is utterance:
                final.give_up()

    async def decode(self, final: Final, recognition: Recognition) -> None:
        """Returns when it is done."""
        try:
            with final.scope:
                final.outcome = await self._transcribe(final, recognition)
        except GatewayError as error:
            final.outcome = error
        finally:
            self.running.discard(final)
            final.done.set()

    async def _transcribe(self, final: Final, recognition: Recognition) -> Hypothesis:
        request = DecodeRequest(final.chunk.samples, recognition.decoding)
        with self._metrics.live_final_seconds.time():
            async with recognition.model.lease() as recognizer:
                # Loading a model takes long, too, but is no load.
                with self._load.final() if final.counts else nullcontext():
                    hypothesis = await recognizer.transcribe(
                        request, stream=self._stream, priority=Priority.LIVE_FINAL
                    )
        if hypothesis.segments and hypothesis.language and hypothesis.language_probability >= SURE:
            self.language = hypothesis.language
        return hypothesis
