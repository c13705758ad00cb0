"""What an actor does on its node; Ray itself is not needed for that."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Sequence

import numpy as np

from gateway.engine.api import Capabilities, DecodeOptions, DecodeRequest, ReplicaOptions, RowFailed
from gateway.engine.ray.actor import EngineActor
from gateway.engine.ray.messages import Decoded, LoadFailure, Ready, Recipe, Undecoded
from gateway.transcript import Hypothesis
from tests.scripted import CAPABILITIES, Act, ScriptedSpec, act


def row(number: int, what: Act = Act.SAY, *, alone: bool = False) -> DecodeRequest:
    """A row for the scripted engine, as it comes out of Ray's object store."""
    samples = act(number, what)
    samples.setflags(write=False)
    return DecodeRequest(samples, DecodeOptions(), alone=alone)


def recipe(spec: ScriptedSpec) -> Recipe:
    """Of a scripted engine."""
    return Recipe(spec.load, {}, spec.lanes, spec.max_batch, ReplicaOptions())


class Held:
    """An engine whose calls wait until they are let go; it keeps how many rows each had."""

    capabilities: Capabilities = CAPABILITIES

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.go = threading.Semaphore(0)
        self._engine = ScriptedSpec().load()

    def transcribe(self, batch: Sequence[DecodeRequest]) -> list[Hypothesis | RowFailed]:
        """Decodes once it may."""
        self.calls.append(len(batch))
        self.go.acquire()
        # Engines may scale rows in place.
        for request in batch:
            request.samples[3:] *= 1
        return self._engine.transcribe(batch)


def held() -> tuple[EngineActor, Held]:
    """An actor with such an engine of one lane, and batches of four rows."""
    engine = Held()
    return EngineActor(Recipe(lambda: engine, {}, 1, 4, ReplicaOptions())), engine


def texts(answer: Decoded | Undecoded) -> list[str]:
    """What was said."""
    assert isinstance(answer, Decoded)
    return [each.segments[0].text for each in answer.results if isinstance(each, Hypothesis)]


async def test_calls_of_several_gateways_share_engine_calls() -> None:
    """Each gets its own results, and is told what else there is to do."""
    actor, engine = held()
    await actor.describe()
    calls = [
        asyncio.ensure_future(actor.transcribe(f"edge {number}", 0, "key", [row(number)]))
        for number in range(4)
    ]
    await asyncio.sleep(0)
    assert (await actor.load()).rows == 4
    engine.go.release(2)
    answers = await asyncio.gather(*calls)

    assert [texts(answer) for answer in answers] == [[f" {number}"] for number in range(4)]
    assert engine.calls == [1, 3]
    load = await actor.load()
    assert (load.rows, load.busy) == (0, 0)


async def test_a_call_that_nobody_wants_is_taken_back() -> None:
    """It is never decoded; one that has begun is."""
    actor, engine = held()
    await actor.describe()
    running = asyncio.ensure_future(actor.transcribe("edge", 0, "key", [row(0)]))
    waiting = asyncio.ensure_future(actor.transcribe("edge", 1, "key", [row(1)]))
    await asyncio.sleep(0)
    await actor.forget("edge", 0)
    await actor.forget("edge", 1)
    await actor.forget("edge", 2)
    engine.go.release()

    assert texts(await running) == [" 0"]
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert engine.calls == [1]


async def test_a_gateways_bad_row_harms_no_others() -> None:
    """What shared an engine call that failed is decoded once more for itself."""
    actor, engine = held()
    await actor.describe()
    calls = [
        asyncio.ensure_future(actor.transcribe(f"edge {number}", 0, "key", [row(number, what)]))
        for number, what in enumerate([Act.SAY, Act.RAISE, Act.SAY])
    ]
    engine.go.release(4)
    _, bad, good = await asyncio.gather(*calls)

    assert isinstance(bad, Undecoded)
    assert "the row asked for it" in bad.reason
    assert texts(good) == [" 2"]
    assert engine.calls == [1, 2, 1, 1]


async def test_a_suspect_has_the_replica_for_itself() -> None:
    """Two that could share a call do not."""
    actor, engine = held()
    await actor.describe()
    calls = [
        asyncio.ensure_future(actor.transcribe("edge", number, "key", [row(number, alone=number == 1)]))
        for number in range(3)
    ]
    engine.go.release(3)
    await asyncio.gather(*calls)

    assert engine.calls == [1, 1, 1]


async def test_the_engine_is_described() -> None:
    """Or why it could not be loaded."""
    assert await EngineActor(recipe(ScriptedSpec())).describe() == Ready(CAPABILITIES)
    failed = await EngineActor(recipe(ScriptedSpec(fault=Act.RAISE))).describe()

    assert failed == LoadFailure("ValueError", "ValueError: the row asked for it")


async def test_an_engine_that_answers_too_few_rows_has_failed() -> None:
    """So that nobody gets another one's words."""
    actor = EngineActor(recipe(ScriptedSpec(too_few=True)))
    await actor.describe()

    assert isinstance(await actor.transcribe("edge", 0, "key", [row(0)]), Undecoded)


HANG = """
import asyncio
from gateway.engine.api import DecodeOptions, DecodeRequest, ReplicaOptions
from gateway.engine.ray.actor import EngineActor
from gateway.engine.ray.messages import Recipe
from tests.scripted import Act, ScriptedSpec, act

async def main():
    actor = EngineActor(Recipe(ScriptedSpec().load, {}, 1, 1, ReplicaOptions(row_timeout=0.2)))
    await actor.describe()
    await actor.transcribe("edge", 0, "key", [DecodeRequest(act(0, Act.HANG), DecodeOptions())])

asyncio.run(main())
"""


def test_a_hang_ends_the_process() -> None:
    """Nothing else ends a thread that hangs; where it hung stands in the node's log."""
    run = subprocess.run(
        [sys.executable, "-c", HANG], capture_output=True, text=True, timeout=60, check=False
    )

    assert run.returncode == 1
    assert "_misbehave" in run.stderr


def test_samples_can_be_written_to() -> None:
    """`row` is what Ray gives: the test above would fail on it otherwise."""
    assert not row(0).samples.flags.writeable
    assert isinstance(row(0).samples, np.ndarray)
