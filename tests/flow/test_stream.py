"""Rows of one stream: what they ask the engine for, what is remembered of their answers, what frees them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import numpy as np
import pytest

from gateway.aio import Changed, open_task_group
from gateway.audio.types import SAMPLE_RATE, Chunk
from gateway.engine.api import Capabilities, DecodeOptions, Priority
from gateway.errors import EngineFailedError, GatewayError, OverloadedError, SupersededError, UnavailableError
from gateway.flow.options import PartialOptions, Recognition
from gateway.flow.pacing import Load
from gateway.flow.stream import RowStream
from gateway.metrics import Metrics
from gateway.transcript import Hypothesis
from gateway.transcript.stable import StabilityOptions
from tests.fake_recognizer import Call, FakeRecognizer, in_turn, say

CAPABILITIES = Capabilities(frozenset({"en", "de", "zh"}), detects_language=True)
CHUNK = Chunk(0, np.zeros(SAMPLE_RATE, np.float32), ends_utterance=True)


def recognition(engine: FakeRecognizer, decoding: DecodeOptions | None = None) -> Recognition:
    """With partials."""
    return Recognition(engine.lease, "fake", decoding or DecodeOptions(), PartialOptions(beam_size=2))


@asynccontextmanager
async def rows(*, live: bool = True, decides: bool = False) -> AsyncIterator[RowStream]:
    """A stream; its rows are cancelled when the context is left."""
    async with open_task_group() as tasks:
        load = Load(anyio.current_time, Metrics()) if live else None
        yield RowStream(tasks, Changed(), load=load, decides_language=decides)
        tasks.cancel_scope.cancel()


async def test_a_final() -> None:
    """Decoded as asked, first in the queue; the model is leased until the answer is there."""
    engine = FakeRecognizer(lambda call: None)
    async with rows() as stream:
        row = stream.final(CHUNK, recognition(engine, DecodeOptions(words=True, beam_size=5)))
        await anyio.wait_all_tasks_blocked()
        [call] = engine.calls
        assert engine.leases == 1
        assert not row.is_done
        call.answer(say("hello"))

        assert await row.hypothesis() == say("hello")
        assert engine.leases == 0
    assert call.request.samples is CHUNK.samples
    assert call.request.options == DecodeOptions(words=True, beam_size=5)
    assert call.request.retry
    assert (call.request.whole, call.priority) == (True, Priority.LIVE_FINAL)


async def test_a_partial() -> None:
    """With its own beam and without word times, after all finals; its answer decides nothing."""
    engine = FakeRecognizer(lambda _: say("a", language="de"))
    async with rows() as stream:
        row = stream.partial(CHUNK, recognition(engine, DecodeOptions(words=True, beam_size=5)))

        assert await row.hypothesis() == say("a", language="de")
        assert stream.language is None
    [call] = engine.calls
    assert call.request.options == DecodeOptions(beam_size=2)
    assert not call.request.retry
    assert call.request.hurried
    assert call.priority is Priority.LIVE_PARTIAL


@pytest.mark.parametrize(
    ("decoding", "remembered", "expected"),
    [
        (DecodeOptions(), None, None),
        (DecodeOptions(), "de", "de"),
        (DecodeOptions(), "fi", None),
        (DecodeOptions(language="en"), "de", "de"),  # the given one goes before it
        (DecodeOptions(languages=("en", "zh")), "zh", "zh"),
        (DecodeOptions(languages=("en", "zh")), "de", None),
    ],
)
async def test_the_language_expected(
    decoding: DecodeOptions, remembered: str | None, expected: str | None
) -> None:
    """Of finals and partials alike: that of the last final, if it is one of the client's and the engine's."""
    engine = FakeRecognizer(lambda _: say("a", language=remembered), capabilities=CAPABILITIES)
    async with rows() as stream:
        await stream.final(CHUNK, recognition(engine)).hypothesis()
        await stream.partial(CHUNK, recognition(engine, decoding)).hypothesis()
        await stream.final(CHUNK, recognition(engine, decoding)).hypothesis()

    for call in engine.calls[1:]:
        assert call.request.expected == expected
        assert call.request.options.language == decoding.language


async def test_a_session_is_never_refused() -> None:
    """Where it waits as files do, and the queue is full, it goes ahead of them; a recording is refused."""

    def full(call: Call) -> Hypothesis | GatewayError:
        return OverloadedError("full") if call.priority is Priority.AHEAD else say("a")

    for live in (True, False):
        engine = FakeRecognizer(full)
        async with rows(live=live) as stream:
            row = stream.final(CHUNK, recognition(engine), priority=Priority.AHEAD)
            if live:
                assert await row.hypothesis() == say("a")
            else:
                with pytest.raises(OverloadedError):
                    await row.hypothesis()


async def test_unsure_and_empty_answers_are_not_remembered() -> None:
    """A language of little probability, or of a chunk without words."""
    answers = iter([replace(say("a", language="de"), language_probability=0.3), say("", language="de")])
    engine = FakeRecognizer(lambda _: next(answers))
    async with rows() as stream:
        for _ in range(2):
            await stream.final(CHUNK, recognition(engine)).hypothesis()

        assert stream.language is None


@pytest.mark.parametrize("decides", [True, False])
async def test_the_first_sure_language(decides: bool) -> None:  # noqa: FBT001 - a table
    """In a recording it is expected of all finals once it is decided, in a session of the next one."""
    engine = FakeRecognizer(lambda _: say("a", language="de"))
    async with rows(decides=decides) as stream:
        assert stream.is_undecided == decides
        for _ in range(3):
            await stream.final(CHUNK, recognition(engine)).hypothesis()

        assert not stream.is_undecided
    assert {call.request.options.language for call in engine.finals} == {None}
    assert [call.request.expected for call in engine.finals] == [
        None,
        None if decides else "de",
        "de",
    ]


async def test_who_decides_the_language() -> None:
    """Three seconds of speech do, alone; of less, two that agree; nobody who is not sure."""
    long = Chunk(0, np.zeros(3 * SAMPLE_RATE, np.float32), ends_utterance=True)
    cases = [
        ([(long, "de", 0.6)], "de"),
        ([(CHUNK, "de", 0.9)], None),
        ([(CHUNK, "de", 0.9), (CHUNK, "de", 0.6)], "de"),
        ([(CHUNK, "de", 0.9), (CHUNK, "en", 0.9)], None),
        ([(long, "de", 0.4)], None),
        ([(long, "de", 0.9), (long, "en", 0.9)], "de"),
    ]
    for chunks, decided in cases:
        engine = FakeRecognizer(in_turn(*(say("a", language=code, probability=p) for _, code, p in chunks)))
        async with rows(decides=True) as stream:
            for chunk, _, _ in chunks:
                await stream.final(chunk, recognition(engine)).hypothesis()
            assert stream.decided == decided, chunks


@pytest.mark.parametrize(("able", "evidence"), [(True, 1.2), (True, 0.0), (False, 1.2)])
async def test_how_sure_the_model_is(able: bool, evidence: float) -> None:  # noqa: FBT001 - a table
    """Is asked of partials where it counts and can be told."""
    engine = FakeRecognizer(capabilities=replace(CAPABILITIES, logprobs=able))
    partials = PartialOptions(stability=StabilityOptions(evidence=evidence))
    async with rows() as stream:
        await stream.partial(CHUNK, replace(recognition(engine), partials=partials)).hypothesis()

    assert engine.partials[0].request.options.logprobs == (able and evidence > 0)


@pytest.mark.parametrize("most", [None, 30])
async def test_how_long_a_partial_may_be(most: int | None) -> None:
    """As whoever asks knows."""
    engine = FakeRecognizer()
    async with rows() as stream:
        await stream.partial(CHUNK, recognition(engine), most_tokens=most).hypothesis()

    assert engine.partials[0].request.most_tokens == most


async def test_a_row_cancelled() -> None:
    """It leaves the queue and its lease; others of the stream go on."""
    engine = FakeRecognizer(lambda call: None)
    async with rows() as stream:
        first, second = (stream.final(CHUNK, recognition(engine)) for _ in range(2))
        await anyio.wait_all_tasks_blocked()
        first.cancel()
        with pytest.raises(EngineFailedError):
            await first.hypothesis()
        assert engine.leases == 1
        engine.calls[1].answer(say("a"))

        await second.hypothesis()
    assert [call.cancelled for call in engine.calls] == [True, False]
    assert first.outcome is None


async def test_cancelled_before_it_began() -> None:
    """Nothing is asked of the engine."""
    engine = FakeRecognizer()
    async with rows() as stream:
        row = stream.final(CHUNK, recognition(engine))
        row.cancel()
        with pytest.raises(EngineFailedError):
            await row.hypothesis()

    assert engine.leases == 0


@pytest.mark.parametrize("error", [OverloadedError("full"), EngineFailedError("broken")])
async def test_errors_are_outcomes(error: Exception) -> None:
    """They are raised where the answer is waited for, and nowhere else."""
    engine = FakeRecognizer(lambda _: error)
    async with rows() as stream:
        row = stream.final(CHUNK, recognition(engine))
        with pytest.raises(type(error)):
            await row.hypothesis()

        assert row.outcome is error


async def test_a_model_that_cannot_be_had() -> None:
    """Is an outcome, too."""

    @asynccontextmanager
    async def lease() -> AsyncIterator[FakeRecognizer]:
        raise UnavailableError("not loaded")
        yield FakeRecognizer()

    async with rows() as stream:
        row = stream.final(CHUNK, Recognition(lease, "fake", DecodeOptions()))
        with pytest.raises(UnavailableError):
            await row.hypothesis()


async def test_a_superseded_partial_has_no_outcome() -> None:
    """A newer one of the stream took its place."""
    engine = FakeRecognizer(lambda _: SupersededError())
    async with rows() as stream:
        row = stream.partial(CHUNK, recognition(engine))
        with pytest.raises(EngineFailedError):
            await row.hypothesis()

    assert row.outcome is None


@pytest.mark.parametrize("live", [True, False])
async def test_queue_keys(live: bool) -> None:  # noqa: FBT001 - a table
    """They keep nothing alive; partials of a recording take no turns of its finals."""
    engine = FakeRecognizer()
    async with rows(live=live) as stream:
        for _ in range(2):
            await stream.final(CHUNK, recognition(engine)).hypothesis()
            await stream.partial(CHUNK, recognition(engine)).hypothesis()
    keys = [call.stream for call in engine.calls]

    assert {type(key) for key in keys} == {object}
    assert keys[0] is keys[2]
    assert (keys[0] is keys[1]) == live


async def test_leaving_frees_everything() -> None:
    """Rows and leases."""
    engine = FakeRecognizer(lambda call: None)
    async with rows() as stream:
        stream.final(CHUNK, recognition(engine))
        stream.partial(CHUNK, recognition(engine))
        await anyio.wait_all_tasks_blocked()

    assert [call.cancelled for call in engine.calls] == [True, True]
    assert engine.leases == 0
