"""An upstream as a replica, under the batcher that all engines have; against real servers."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import numpy as np
import pytest

from gateway.aio import open_task_group
from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import DecodeOptions, DecodeRequest, ReplicaOptions
from gateway.engine.batcher import Batcher, BatcherOptions
from gateway.engine.supervisor import WorkerState
from gateway.engine.upstream.replica import FAILURES_IN_A_ROW
from gateway.engine.upstream.spec import UpstreamSpec
from gateway.errors import EngineFailedError, LoadFailedError, UnavailableError
from gateway.metrics import Metrics
from tests.upstream_server import (
    TEXT,
    Dialect,
    UpstreamServer,
    gpt_4o,
    refuse,
    upstream_server,
    vllm,
    vllm_llm,
    whisper_1,
    whisper_cpp,
)

pytestmark = pytest.mark.slow

QUESTIONS = 4
"""Whisper is asked at a start: what all have, words, log-probabilities and translations."""


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that nothing depends on."""
    monkeypatch.setattr("gateway.engine.upstream.client.FIRST_PAUSE", 0.01)


@pytest.fixture
def upstream() -> Iterator[UpstreamServer]:
    """OpenAI's Whisper."""
    with upstream_server(whisper_1) as server:
        yield server


def spec(*servers: UpstreamServer, **options: Any) -> UpstreamSpec:
    """What serves them."""
    return UpstreamSpec("ours", tuple(server.url for server in servers), **{"model": "model", **options})


@asynccontextmanager
async def batcher(
    served: UpstreamSpec, *, ready: bool = True, outage: float = 30.0
) -> AsyncIterator[Batcher]:
    """Its batcher, running."""
    options = BatcherOptions(restart_seconds=0.01, replica=ReplicaOptions(outage_timeout=outage))
    made = Batcher(served, Metrics(), options, served.places)
    async with open_task_group() as tasks:
        tasks.start_soon(made.run)
        if ready:
            await made.wait_ready()
        yield made
        tasks.cancel_scope.cancel()


def row(seconds: float = 1.0, **options: Any) -> DecodeRequest:
    """A row."""
    return DecodeRequest(np.zeros(round(seconds * SAMPLE_RATE), np.float32), DecodeOptions(**options))


async def said(recognizer: Batcher, request: DecodeRequest | None = None) -> str:
    """What the upstream says to a row."""
    hypothesis = await recognizer.transcribe(request or row(), stream=object())
    return "".join(segment.text for segment in hypothesis.segments).strip()


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        (whisper_1, {"detects_language", "words", "translate"}),
        (vllm, {"detects_language", "translate"}),
        (gpt_4o, {"logprobs"}),
        (vllm_llm, {"translate"}),
        (whisper_cpp, {"detects_language", "words", "translate"}),
    ],
)
async def test_capabilities(dialect: Dialect, expected: set[str]) -> None:
    """They are found out at the start, and rows ask for no more."""
    with upstream_server(dialect) as server:
        async with batcher(spec(server)) as ours:
            able = ours.capabilities
            text = await said(ours, row(words="words" in expected, logprobs=True))
        form = server.asked[-1].fields["response_format"]
    found = {name for name in ("detects_language", "words", "logprobs", "translate") if getattr(able, name)}

    assert found == expected
    assert text == TEXT
    assert form == ["verbose_json" if "detects_language" in expected else "json"]


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        ([refuse(502, "no backend")] * 3, "upstream is busy"),
        ([refuse(504, "no backend")] * 3, "upstream is busy"),
        ([(408, {}, {"retry-after": "99"})], "upstream is busy"),
        ([refuse(429, "no credits", code="insufficient_quota")], "upstream asks for payment"),
    ],
)
async def test_no_answer_to_a_question(upstream: UpstreamServer, faults: list[Any], reason: str) -> None:
    """Is none: what was asked in between is asked again, and no ability is missed."""
    upstream.faults.extend([(200, {"text": "first"}, {}), *faults])
    async with batcher(spec(upstream), ready=False) as ours:
        await ours.changed.until(lambda: ours.state[0].reason is not None)
        said_of_it = ours.state[0].reason
        await ours.wait_ready()
        able = ours.capabilities

    assert said_of_it == reason
    assert able.words
    assert able.detects_language


async def test_the_only_model() -> None:
    """Where none is named; among several one has to be."""
    with upstream_server(whisper_1, models=("just-this",)) as server:
        async with batcher(spec(server, model=None)) as ours:
            await said(ours)
        assert server.asked[-1].fields["model"] == ["just-this"]
    with (
        upstream_server(whisper_1, models=("one", "two")) as server,
        pytest.raises(LoadFailedError, match="has 2 models: name one"),
    ):
        async with batcher(spec(server, model=None), ready=False) as ours:
            await ours.wait_ready()


@pytest.mark.parametrize(
    ("faults", "words", "public"),
    [
        ([refuse(401, "bad key sk-1")], r"refuses the key .*HTTP 401: bad key \*\*\*", "refuses the key"),
        ([refuse(404, "The model `x` does not exist")], "does not serve model: HTTP 404", "HTTP 404"),
    ],
)
async def test_misconfigured(upstream: UpstreamServer, faults: list[Any], words: str, public: str) -> None:
    """The start ends with what has to be mended; strangers do not see the details."""
    upstream.faults.extend(faults)
    async with batcher(spec(upstream, key="sk-1"), ready=False) as ours:
        with pytest.raises(LoadFailedError, match=words) as caught:
            await ours.wait_ready()
        assert ours.state[0].state is WorkerState.FAILED

    assert public in caught.value.public
    assert "exist" not in caught.value.public


async def test_rows_at_the_same_time(upstream: UpstreamServer) -> None:
    """As many as it has lanes; the others wait in the queue."""
    async with batcher(spec(upstream, lanes=3)) as ours, anyio.create_task_group() as tasks:
        before = len(upstream.asked)
        came, enough = anyio.lowlevel.current_token(), anyio.Event()

        def count() -> None:
            if len(upstream.asked) - before == 3:
                anyio.from_thread.run_sync(enough.set, token=came)

        upstream.on_asked = count
        upstream.gate.clear()
        for _ in range(5):
            tasks.start_soon(said, ours)
        await enough.wait()
        await anyio.wait_all_tasks_blocked()
        at_once = len(upstream.asked) - before
        upstream.gate.set()

    assert at_once == 3
    assert len(upstream.asked) - before == 5


async def test_a_bad_row_harms_nobody(upstream: UpstreamServer) -> None:
    """It fails, and the upstream goes on."""
    async with batcher(spec(upstream)) as ours:
        upstream.faults.extend([refuse(400, "bad audio")] * 2 * FAILURES_IN_A_ROW)
        for _ in range(2 * FAILURES_IN_A_ROW):
            with pytest.raises(EngineFailedError):
                await said(ours)
        assert await said(ours) == TEXT
        assert ours.ready


async def test_busy_for_too_long(upstream: UpstreamServer) -> None:
    """The client hears when to come back."""
    async with batcher(spec(upstream)) as ours:
        upstream.faults.append((429, {}, {"retry-after": "77"}))
        with pytest.raises(UnavailableError, match="busy") as caught:
            await said(ours)

    assert caught.value.retry_after == 77


async def test_the_breaker_opens_and_closes(upstream: UpstreamServer) -> None:
    """After some failures nothing is sent but the question whether it is well again."""
    async with batcher(spec(upstream)) as ours:
        before = len(upstream.asked)
        # Three tries of each row, and of the first question.
        upstream.faults.extend([refuse(500, "oops")] * (3 * FAILURES_IN_A_ROW + 3))
        outcomes = []
        for _ in range(FAILURES_IN_A_ROW - 1):
            with pytest.raises(UnavailableError) as caught:
                await said(ours)
            outcomes.append(caught.value.retry_after)
        last = await said(ours)
        after = len(upstream.asked) - before

    assert outcomes == [5] * (FAILURES_IN_A_ROW - 1)
    assert last == TEXT
    # Then all that a start asks, and the row.
    assert after == 3 * FAILURES_IN_A_ROW + 3 + QUESTIONS + 1


async def test_back_after_an_outage() -> None:
    """Rows wait for it, whoever's they are, and are not decoded one by one afterwards."""
    texts: list[str] = []

    async def ask(ours: Batcher) -> None:
        texts.append(await said(ours))

    with ExitStack() as later, upstream_server(whisper_1) as server:
        async with batcher(spec(server)) as ours:
            await anyio.to_thread.run_sync(server.end)
            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(ask, ours)
                await ours.changed.until(lambda: ours.state[0].state is WorkerState.RESTARTING)
                assert ours.state[0].reason == "upstream cannot be reached"
                assert not ours.ready
                again = await anyio.to_thread.run_sync(
                    lambda: later.enter_context(upstream_server(whisper_1, port=server.port))
                )
            assert len(again.asked) == QUESTIONS + 4

    assert texts == [TEXT] * 4


async def test_out_for_too_long() -> None:
    """Then rows are refused."""
    with upstream_server(whisper_1) as server:
        async with batcher(spec(server), outage=0.05) as ours:
            await anyio.to_thread.run_sync(server.end)
            with pytest.raises(UnavailableError):
                await said(ours)
            assert ours.hopeless


async def test_not_there_yet() -> None:
    """A fleet's machines start in any order: the start waits, and says for what."""
    with upstream_server(whisper_1) as gone:
        port = gone.port
    async with batcher(spec(gone), ready=False, outage=0.0) as ours:
        for _ in range(3):
            await ours.changed.until(lambda: ours.state[0].reason is not None)
        assert ours.state[0].state is WorkerState.RESTARTING
        with ExitStack() as later:
            await anyio.to_thread.run_sync(lambda: later.enter_context(upstream_server(whisper_1, port=port)))
            await ours.wait_ready()
            assert await said(ours) == TEXT


async def test_another_takes_over(upstream: UpstreamServer) -> None:
    """Of two URLs one goes: its rows are decoded by the other."""
    with upstream_server(whisper_1) as second:
        async with batcher(spec(upstream, second, lanes=1)) as ours:
            await ours.changed.until(lambda: all(status.state.serves for status in ours.state))
            await anyio.to_thread.run_sync(second.end)
            async with anyio.create_task_group() as tasks:
                for _ in range(6):
                    tasks.start_soon(said, ours)
            assert [status.state.serves for status in ours.state] == [True, False]
            assert ours.ready


async def test_watched_while_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks for anything, and yet it is seen that it is gone."""
    monkeypatch.setattr("gateway.engine.upstream.replica.WATCH_SECONDS", 0.02)
    with upstream_server(whisper_1) as server:
        async with batcher(spec(server)) as ours:
            await anyio.to_thread.run_sync(server.end)
            await ours.changed.until(lambda: not ours.ready)


async def test_one_of_several_languages() -> None:
    """No upstream takes a list: what is heard as another language is asked again in the likeliest."""

    def german(asked: Any, text: str) -> Any:
        language = {"de": "german", "fr": "french"}.get(asked.fields.get("language", [""])[0], "polish")
        return 200, {"text": language, "language": language, "segments": []}, {}

    with upstream_server(german) as server:
        async with batcher(spec(server)) as ours:
            assert await said(ours, row(languages=("de", "fr"))) == "german"
            assert await said(ours, row(languages=("pl", "fr"))) == "polish"
