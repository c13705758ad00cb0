"""The one fake recognizer: a `Model`, always loaded, and its `Recognizer` in one object, without a process.

It keeps every row as a `Call` and says of each what ``answer`` says: at once, or when the row is released, or
when the test answers that very row::

    fake = FakeRecognizer()                             # each row says as many words as it has half seconds
    fake = FakeRecognizer(by_number)                    # row n says "wn"
    fake = FakeRecognizer(in_turn(say("one"), EngineFailedError("two")))
    fake = FakeRecognizer(lambda call: None)            # left to the test: fake.calls[0].answer(say("one"))

    fake.hold()                                         # rows asked from here on wait ...
    await fake.until(2)                                 # ... two rows were asked for, since the start
    fake.calls[1].answer()                              # ... one of them goes, by ``answer``
    fake.release()                                      # ... and now all, and those that come

A `Call` holds what the row was asked with (request, stream, priority) and what became of it (outcome, or
cancelled). With ``last_first`` the later of two rows that wait at the same time is answered first.
``loading`` is raised to those who lease the model. The engine for worker processes is `tests.scripted`.
"""

from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import anyio

from gateway.aio import Changed
from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import Capabilities, DecodeRequest, ModelDefaults, Priority, Recognizer
from gateway.transcript import Hypothesis, Segment, Token

WORD_SAMPLES = SAMPLE_RATE // 2
"""`by_length` says a word for each half second."""


@dataclass(eq=False)
class Call:
    """One row that was asked for, and what became of it.

    Attributes:
        number: Counts the rows from 0.
        outcome: What it was answered with; None while it waits.
        cancelled: Who asked did not wait for the answer.
    """

    number: int
    request: DecodeRequest
    stream: Hashable
    priority: Priority
    _answer: "Answer" = field(repr=False)
    outcome: Hypothesis | Exception | None = None
    cancelled: bool = False
    _answered: anyio.Event = field(default_factory=anyio.Event, repr=False)

    @property
    def is_final(self) -> bool:
        """Of an utterance that is over, or of a pause."""
        return not self.is_partial

    @property
    def is_partial(self) -> bool:
        """Of speech that goes on."""
        return self.priority is Priority.LIVE_PARTIAL

    @property
    def waits(self) -> bool:
        """It is neither answered nor given up."""
        return not self.cancelled and not self._answered.is_set()

    def answer(self, outcome: Hypothesis | Exception | None = None) -> None:
        """Answers it: with ``outcome``, or as the recognizer would."""
        self.outcome = self._answer(self) if outcome is None else outcome
        if self.outcome is not None:
            self._answered.set()

    async def result(self) -> Hypothesis:
        """Waits for the answer; an exception is raised."""
        await self._answered.wait()
        if isinstance(self.outcome, Hypothesis):
            return self.outcome
        assert self.outcome is not None
        raise self.outcome


Answer: TypeAlias = Callable[[Call], Hypothesis | Exception | None]
"""What is said of a row; an exception is raised, and None leaves the row to the test."""


def say(text: str, *, language: str | None = "en", probability: float = 1.0) -> Hypothesis:
    """One segment with a token for each word; none for no text."""
    tokens = tuple(
        Token(number, f" {word}", f" {word}".encode(), -0.1) for number, word in enumerate(text.split())
    )
    spoken = "".join(token.text for token in tokens)
    segment = Segment(0.0, 1.0, spoken, tokens, (), -0.1, 1.0, 0.0, 0.0)
    return Hypothesis((segment,) if tokens else (), language, probability)


def by_length(call: Call) -> Hypothesis:
    """As many words as half seconds: "w0 w1 w2"."""
    return say(" ".join(f"w{number}" for number in range(len(call.request.samples) // WORD_SAMPLES)))


def by_number(call: Call) -> Hypothesis:
    """The row's number: "w7"."""
    return say(f"w{call.number}")


def in_turn(*outcomes: Hypothesis | Exception) -> Answer:
    """Row n has outcome n; the test fails where there are more rows."""
    return lambda call: outcomes[call.number]


class FakeRecognizer:
    """See the module.

    Attributes:
        answer: What is said of the rows from here on.
        calls: All rows, in the order in which they were asked for.
        loading: Raised to those who lease the model.
        leases: How many have it leased.
        most_waiting: The most rows that waited at the same time.
    """

    def __init__(
        self,
        answer: Answer = by_length,
        *,
        name: str = "fake",
        capabilities: Capabilities | None = None,
        defaults: ModelDefaults | None = None,
        loading: Exception | None = None,
        last_first: bool = False,
    ) -> None:
        self.answer = answer
        self.name = name
        self.capabilities = capabilities or Capabilities(frozenset({"en", "de"}))
        self.defaults = defaults or ModelDefaults()
        self.loading = loading
        self.calls: list[Call] = []
        self.leases = 0
        self.most_waiting = 0
        self._last_first = last_first
        self._is_held = False
        self._changed = Changed()

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Recognizer]:
        """As `Model`."""
        if self.loading is not None:
            raise self.loading
        self.leases += 1
        try:
            yield self
        finally:
            self.leases -= 1

    async def transcribe(
        self, request: DecodeRequest, *, stream: Hashable, priority: Priority = Priority.FILE
    ) -> Hypothesis:
        """As `Recognizer`."""
        call = Call(len(self.calls), request, stream, priority, self.answer)
        self.calls.append(call)
        self.most_waiting = max(self.most_waiting, len(self.waiting))
        self._changed.notify()
        try:
            if self._last_first:
                await anyio.wait_all_tasks_blocked()
                await self._changed.until(lambda: not call.waits or self.waiting[-1] is call)
            if not self._is_held:
                call.answer()
            return await call.result()
        except anyio.get_cancelled_exc_class():
            call.cancelled = True
            raise
        finally:
            self._changed.notify()

    def hold(self) -> None:
        """Rows that are asked from here on wait for `release`, or for their own answer."""
        self._is_held = True

    def release(self) -> None:
        """Rows that wait are answered, and so are those that come."""
        self._is_held = False
        for call in self.waiting:
            call.answer()

    async def until(self, count: int) -> None:
        """Waits until so many rows were asked for in all."""
        await self._changed.until(lambda: len(self.calls) >= count)

    @property
    def requests(self) -> list[DecodeRequest]:
        """What the rows were asked with."""
        return [call.request for call in self.calls]

    @property
    def waiting(self) -> list[Call]:
        """The rows that are neither answered nor given up."""
        return [call for call in self.calls if call.waits]

    @property
    def finals(self) -> list[Call]:
        """The rows of utterances that are over, and of pauses."""
        return [call for call in self.calls if call.is_final]

    @property
    def partials(self) -> list[Call]:
        """The rows of speech that goes on."""
        return [call for call in self.calls if call.is_partial]
