"""Finals: one of a pause serves the chunk it foresaw; those nobody wants are given up; lags are noted."""

import anyio
import numpy as np
import pytest
from anyio.lowlevel import checkpoint

from gateway.audio.types import SAMPLE_RATE, Chunk
from gateway.engine.api import DecodeOptions
from gateway.errors import EngineFailedError, GatewayError, OverloadedError, UnavailableError
from gateway.flow.finals import Final, Finals
from gateway.flow.load import LiveLoad
from gateway.flow.options import Recognition
from gateway.flow.utterance import Utterance
from gateway.metrics import Metrics
from tests.flow.speech import Call, Engine, say


def chunk(start: int = 0, length: int = SAMPLE_RATE) -> Chunk:
    """Of silence."""
    return Chunk(start, np.zeros(length, np.float32), ends_utterance=True)


@pytest.mark.parametrize(
    ("outcome", "serves"),
    [
        (None, True),
        (say("a"), True),
        (EngineFailedError("broken"), True),
        (OverloadedError("full"), False),
        (UnavailableError("later"), False),
    ],
)
async def test_a_pause_serves_its_chunk(outcome: GatewayError | None, serves: bool) -> None:  # noqa: FBT001 - expected
    """While it is decoded, and after, unless it failed for a reason that may pass; never another chunk."""
    final = Final(Utterance("item", 0, None), chunk(), outcome=outcome)

    assert final.serves(chunk()) == serves
    assert not final.serves(chunk(length=SAMPLE_RATE + 1))
    assert not final.serves(chunk(start=1))


async def test_outcomes_and_giving_up() -> None:
    """An answer, an error, or nothing where it was given up; each is done, and none is left running."""
    engine = Engine(lambda call: None)
    load = LiveLoad(anyio.current_time)
    finals = Finals(load, Metrics(), "stream")
    recognition = Recognition(engine, "fake", DecodeOptions(), None)
    kept, dropped = Utterance("kept", 0, recognition), Utterance("dropped", 0, recognition)
    added = [finals.add(kept, chunk()), finals.add(kept, chunk()), finals.add(dropped, chunk())]
    async with anyio.create_task_group() as tasks:
        for final in added:
            tasks.start_soon(finals.decode, final, recognition)
        await anyio.wait_all_tasks_blocked()
        assert finals.running == set(added)
        assert len(load._running) == 3
        error = EngineFailedError("broken")
        engine.calls[0].answer(say("a", language="de"))
        engine.calls[1].answer(error)
        finals.give_up(dropped)
        await checkpoint()

    assert [final.outcome for final in added] == [say("a", language="de"), error, None]
    assert all(final.done.is_set() for final in added)
    assert [call.cancelled for call in engine.calls] == [False, False, True]
    assert finals.running == set()
    assert finals.language == "de"
    assert load._running == {}
    assert len(load._ended) == 1
    assert engine.leases == 0


async def test_silence_tells_no_language() -> None:
    """What an engine takes an empty hypothesis to be spoken in is no reason to prefer it."""
    engine = Engine(lambda call: Call.answer(call, say("", language="zh")))
    finals = Finals(LiveLoad(anyio.current_time), Metrics(), "stream")
    recognition = Recognition(engine, "fake", DecodeOptions(), None)
    await finals.decode(finals.add(Utterance("item", 0, recognition), chunk()), recognition)

    assert finals.language is None
