"""Scripted speech for live sessions: a detector that follows a script, an engine that answers when told."""

from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import anyio
import numpy as np
from numpy.typing import NDArray

from gateway.audio.silero import FRAME, SileroModel
from gateway.audio.types import SAMPLE_RATE, Chunk, Samples
from gateway.engine.api import Capabilities, DecodeRequest, ModelDefaults, Priority, Recognizer
from gateway.transcript import Hypothesis, Segment, Token

Script: TypeAlias = list[tuple[float, float]]
"""(probability, seconds)"""

WORD = SAMPLE_RATE // 2
"""The engine hears a word in each half second."""


class ScriptedVad:
    """In Silero's place: each stream of it follows the script from its beginning, then is silent."""

    def __init__(self, script: Script) -> None:
        self._script = script

    def stream(self) -> "ScriptedStream":
        """From the start."""
        return ScriptedStream(self._script)

    def as_model(self) -> SileroModel:
        """Typed as what it stands for."""
        return cast("SileroModel", self)


class ScriptedStream:
    """A probability for each complete frame."""

    def __init__(self, script: Script) -> None:
        self._probabilities = np.array(
            [p for p, seconds in script for _ in range(round(seconds * SAMPLE_RATE / FRAME))], np.float32
        )
        self._samples = 0
        self._told = 0

    def feed(self, samples: Samples) -> NDArray[np.float32]:
        """As `SileroStream`."""
        self._samples += len(samples)
        told, self._told = self._told, self._samples // FRAME
        known = self._probabilities[told : self._told]
        return np.pad(known, (0, self._told - told - len(known)))


def sound(seconds: float) -> bytes:
    """Noise at 16 kHz, always the same."""
    samples = np.random.default_rng(1).standard_normal(round(seconds * SAMPLE_RATE)) * 3000
    return samples.astype("<i2").tobytes()


def say(text: str, *, language: str | None = "en") -> Hypothesis:
    """One segment, a token for each word."""
    words = [f" {word}" for word in text.split()]
    tokens = tuple(Token(number, word, word.encode(), None) for number, word in enumerate(words))
    segment = Segment(0.0, 1.0, "".join(words), tokens, (), -0.1, 1.0, 0.0, 0.0)
    return Hypothesis((segment,) if words else (), language, 0.9)


def words_of(source: DecodeRequest | Chunk) -> Hypothesis:
    """As many words as half seconds."""
    return say(" ".join(f"w{number}" for number in range(len(source.samples) // WORD)))


@dataclass(eq=False)
class Call:
    """One row, and what became of it."""

    request: DecodeRequest
    stream: Hashable
    priority: Priority
    outcome: Hypothesis | Exception | None = None
    cancelled: bool = False
    _answered: anyio.Event = field(default_factory=anyio.Event)

    @property
    def is_final(self) -> bool:
        """Not a partial."""
        return self.priority is Priority.LIVE_FINAL

    def answer(self, outcome: Hypothesis | Exception | None = None) -> None:
        """By default with `words_of`."""
        self.outcome = words_of(self.request) if outcome is None else outcome
        self._answered.set()

    async def result(self) -> Hypothesis:
        """Once it is answered."""
        try:
            await self._answered.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled = True
            raise
        if isinstance(self.outcome, Hypothesis):
            return self.outcome
        raise cast("Exception", self.outcome)


class Engine:
    """A `Model` and its `Recognizer` in one. ``respond`` answers a call or leaves that to the test."""

    def __init__(self, respond: Callable[[Call], None] = Call.answer, *, prefix: bool = False) -> None:
        self.respond = respond
        self.name = "fake"
        self.defaults = ModelDefaults()
        self.capabilities = Capabilities(frozenset({"en", "de", "zh"}), detects_language=True, prefix=prefix)
        self.calls: list[Call] = []
        self.leases = 0

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Recognizer]:
        """As `Model`."""
        self.leases += 1
        try:
            yield self
        finally:
            self.leases -= 1

    async def transcribe(
        self, request: DecodeRequest, *, stream: Hashable, priority: Priority = Priority.FILE
    ) -> Hypothesis:
        """As `Recognizer`."""
        call = Call(request, stream, priority)
        self.calls.append(call)
        self.respond(call)
        return await call.result()

    @property
    def finals(self) -> list[Call]:
        """In order."""
        return [call for call in self.calls if call.is_final]

    @property
    def partials(self) -> list[Call]:
        """In order."""
        return [call for call in self.calls if not call.is_final]
