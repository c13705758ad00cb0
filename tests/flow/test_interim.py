"""Partials: one at a time, thinning out under load, never out of order; none of their failures matters."""

from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import numpy as np
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream

from gateway.aio import open_task_group
from gateway.audio.types import SAMPLE_RATE, Chunk
from gateway.engine.api import Capabilities, DecodeOptions, DecodeRequest, Priority
from gateway.errors import EngineFailedError, OverloadedError, SupersededError
from gateway.flow.interim import BACK_OFF, MAX_STEP_SECONDS, STEP_PER_SECOND_TAKEN, STEP_SECONDS, Interims
from gateway.transcript import Assembler, Hypothesis, Interim, Segment, Token, TranscriptEvent


def say(*texts: str, language: str = "en") -> Hypothesis:
    """A segment for each text."""
    segments = [
        Segment(0.0, 1.0, text, (Token(0, text, text.encode(), None),), (), -0.1, 1.0, 0.0, 0.0)
        for text in texts
    ]
    return Hypothesis(tuple(segments), language, 1.0)


def opened(seconds: float, start: float = 0.0) -> Chunk:
    """An open chunk of so much audio."""
    samples = np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32)
    return Chunk(0, 0, round(start * SAMPLE_RATE), samples, ends_utterance=False)


@dataclass
class FakeRecognizer:
    """Notes what it is asked, waits for ``gate`` where there is one, and gives or raises the next outcome."""

    outcomes: Sequence[Hypothesis | Exception] = ()
    name: str = "fake"
    capabilities: Capabilities = field(default_factory=lambda: Capabilities(frozenset({"en"})))
    gate: anyio.Event | None = None
    asked: list[tuple[DecodeRequest, Hashable, Priority]] = field(default_factory=list)
    cancelled: int = 0

    async def transcribe(
        self, request: DecodeRequest, *, stream: Hashable, priority: Priority = Priority.FILE
    ) -> Hypothesis:
        """As `Recognizer`."""
        self.asked.append((request, stream, priority))
        if self.gate is not None:
            try:
                await self.gate.wait()
            except anyio.get_cancelled_exc_class():
                self.cancelled += 1
                raise
        outcome = self.outcomes[len(self.asked) - 1]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@dataclass
class Bench:
    """Interims at work, and a clock that the test sets."""

    interims: Interims
    assembler: Assembler
    recognizer: FakeRecognizer
    events: MemoryObjectReceiveStream[TranscriptEvent]
    now: list[float]

    async def hear(self, seconds: float, start: float = 0.0) -> None:
        """A partial, and whatever it causes."""
        self.interims.hear(opened(seconds, start))
        await anyio.wait_all_tasks_blocked()

    async def tell(self, hypothesis: Hypothesis, language: str | None = None) -> None:
        """A chunk is cut and told, as the main flow does it."""
        self.interims.cut()
        await anyio.wait_all_tasks_blocked()
        self.assembler.add(hypothesis, start=0, end=1)
        await self.interims.told(has_text=bool(hypothesis.segments), language=language)

    def texts(self) -> list[str]:
        """What was told since."""
        texts = []
        while self.events.statistics().current_buffer_used:
            event = self.events.receive_nowait()

            assert isinstance(event, Interim)
            texts.append(event.text)
        return texts


@asynccontextmanager
async def bench(
    *outcomes: Hypothesis | Exception,
    decoding: DecodeOptions | None = None,
    gate: anyio.Event | None = None,
    room: int = 10,
) -> AsyncIterator[Bench]:
    """Interims over a recognizer with these outcomes, one for each partial."""
    send, receive = anyio.create_memory_object_stream[TranscriptEvent](room)
    recognizer, assembler, now = FakeRecognizer(outcomes, gate=gate), Assembler(), [0.0]
    async with send, receive, open_task_group() as tasks:
        interims = Interims(
            recognizer, assembler, decoding or DecodeOptions(), tasks, send, clock=lambda: now[0]
        )
        yield Bench(interims, assembler, recognizer, receive, now)
        tasks.cancel_scope.cancel()


async def test_a_partial_is_decoded_cheaply() -> None:
    """Greedily, without times and probabilities, as a live partial of a stream other than the recording's."""
    asked_for = DecodeOptions(words=True, logprobs=True, beam_size=5, prompt="p", keywords=("k",))
    async with bench(say(" one"), decoding=asked_for) as b:
        await b.hear(2)
        [(request, stream, priority)] = b.recognizer.asked

        assert request.options == DecodeOptions(beam_size=1, prompt="p", keywords=("k",))
        assert len(request.samples) == 2 * SAMPLE_RATE
        assert request.whole
        assert stream is b.interims._stream
        assert priority is Priority.LIVE_PARTIAL
        assert b.texts() == ["one"]


async def test_the_text_joins_what_was_told() -> None:
    """With the space that is due, all segments together; the same text is not told again."""
    async with bench(say(" two"), say(" two"), say(" two", " three")) as b:
        await b.tell(say(" one"))
        for seconds in (1, 2, 3):
            await b.hear(seconds)

        assert b.texts() == [" two", " two three"]


async def test_one_in_flight() -> None:
    """While a partial is being decoded none is due, whatever comes."""
    async with bench(say(" a"), gate=anyio.Event()) as b:
        assert b.interims.is_due(STEP_SECONDS)
        await b.hear(1)

        assert not b.interims.is_due(1_000)
        assert b.recognizer.gate is not None
        b.recognizer.gate.set()
        await anyio.wait_all_tasks_blocked()
        assert b.interims.is_due(1_000)


async def test_too_little_is_not_heard() -> None:
    """No word fits in; it stays due."""
    async with bench() as b:
        await b.hear(STEP_SECONDS - 0.01, start=9)

        assert b.recognizer.asked == []
        assert b.interims.is_due(10)


async def test_the_step_grows_with_what_a_partial_takes() -> None:
    """At least `STEP_SECONDS` of new audio, more where the engine is slow, and less once it is fast again."""
    gate = anyio.Event()
    async with bench(say(" a"), say(" b"), gate=gate) as b:
        b.interims.hear(opened(1))
        await anyio.wait_all_tasks_blocked()
        b.now[0] += 1.6
        gate.set()
        await anyio.wait_all_tasks_blocked()
        step = STEP_PER_SECOND_TAKEN * 1.6

        assert not b.interims.is_due(1 + step - 0.01)
        assert b.interims.is_due(1 + step)
        await b.hear(6)
        assert not b.interims.is_due(6 + STEP_SECONDS - 0.01)
        assert b.interims.is_due(6 + STEP_SECONDS)


@pytest.mark.parametrize("error", [OverloadedError("full"), EngineFailedError("no"), SupersededError()])
async def test_failures_are_swallowed(error: Exception) -> None:
    """Nothing is told, the next comes later, and later still where it fails again, up to a limit."""
    async with bench(*[error] * 20, say(" a"), say(" b")) as b:
        at = step = STEP_SECONDS
        for _ in range(20):
            assert b.interims.is_due(at + 0.01)
            await b.hear(at)
            step = min(BACK_OFF * step, MAX_STEP_SECONDS)

            assert not b.interims.is_due(at + step - 0.01)
            at += step
        await b.hear(at)

        assert b.texts() == ["a"]
        assert b.interims.is_due(at + STEP_SECONDS + 0.01)


async def test_a_cut_gives_the_partial_up() -> None:
    """It is cancelled, nothing is told of it, and no other is due until the chunk is told."""
    async with bench(gate=anyio.Event()) as b:
        await b.hear(1)
        b.now[0] += 3
        b.interims.cut()
        await anyio.wait_all_tasks_blocked()

        assert b.recognizer.cancelled == 1
        assert not b.interims.is_due(1_000)
        await b.interims.told(has_text=True, language=None)
        assert b.texts() == []
        # It took three seconds at least, which must not look like a fast one.
        assert not b.interims.is_due(1 + STEP_PER_SECOND_TAKEN * 3 - 0.01)
        assert b.interims.is_due(1 + STEP_PER_SECOND_TAKEN * 3)


async def test_an_answer_that_comes_with_the_cut_is_not_told() -> None:
    """Even if it was on its way already."""
    gate = anyio.Event()
    async with bench(say(" late"), gate=gate) as b:
        await b.hear(1)
        gate.set()
        b.interims.cut()
        await anyio.wait_all_tasks_blocked()

        assert b.texts() == []


async def test_all_chunks_ahead_have_to_be_told() -> None:
    """Two of them: one is not enough."""
    async with bench() as b:
        b.interims.cut()
        b.interims.cut()
        await b.interims.told(has_text=True, language=None)

        assert not b.interims.is_due(1_000)
        await b.interims.told(has_text=True, language=None)
        assert b.interims.is_due(1_000)


async def test_what_turned_out_to_be_nothing_is_taken_back() -> None:
    """By an empty text: where the chunk has no text after all, or the next partial none; once."""
    async with bench(say(" a"), say(), say(), say(" b"), say(" c")) as b:
        for seconds in (1, 2, 3, 4):
            await b.hear(seconds)
        await b.tell(say())
        await b.tell(say())

        assert b.texts() == ["a", "", "b", ""]
        await b.hear(5)
        await b.tell(say(" c"))
        assert b.texts() == ["c"]


@pytest.mark.parametrize(
    ("decoding", "expected"),
    [
        (DecodeOptions(), [None, "de", "de"]),
        (DecodeOptions(language="es"), ["es", "es", "es"]),
        (DecodeOptions(languages=("de", "en")), [None, None, None]),
    ],
)
async def test_the_language_once_decided(decoding: DecodeOptions, expected: list[str | None]) -> None:
    """The first sure one holds for later partials, unless each chunk has its own."""
    async with bench(say(" a"), say(" b"), say(" c"), decoding=decoding) as b:
        await b.hear(1)
        await b.tell(say(" a"), language="de")
        await b.hear(2)
        await b.tell(say(" b"), language="en")
        await b.hear(3)

        assert [request.options.language for request, _, _ in b.recognizer.asked] == expected


async def test_a_slow_reader_loses_interims() -> None:
    """None waits for room, and one that found none is told the next time."""
    async with bench(say(" a"), say(" b"), say(" b"), room=1) as b:
        await b.hear(1)
        await b.hear(2)

        assert b.texts() == ["a"]
        await b.hear(3)
        assert b.texts() == ["b"]
