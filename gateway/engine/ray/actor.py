"""The replica itself: a Ray actor that loads one engine and decodes the rows of any gateway that calls it."""

import asyncio
import faulthandler
import logging
import os
import sys
import uuid
from collections.abc import Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gateway import allocator
from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import Capabilities, DecodeRequest, Engine, RowFailed
from gateway.engine.process import LEAST_PACE_SECONDS
from gateway.engine.ray.line import Line, Waiting
from gateway.engine.ray.messages import Decoded, Load, LoadFailure, Ready, Recipe, Undecoded
from gateway.engine.watch import cpu_seconds, until_stuck
from gateway.engine.worker import is_out_of_memory
from gateway.transcript import Hypothesis

logger = logging.getLogger(__name__)

Results = list[Hypothesis | RowFailed]


@dataclass(eq=False, slots=True)
class _Call(Waiting):
    """A gateway's call with what it brought, and where its answer goes."""

    batch: list[DecodeRequest] = field(default_factory=list)
    answer: "asyncio.Future[Results]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class EngineActor:
    """What runs on a node. Its methods are called by Ray, several at a time on one event loop.

    The engine is loaded in a thread, so that the actor answers meanwhile; batches are decoded in threads, one
    for each lane. A hang ends the process, and Ray starts it again.
    """

    def __init__(self, recipe: Recipe) -> None:
        # Read by libraries when they are loaded, which they are not yet.
        os.environ.update(recipe.environment)
        allocator.keep()
        self._recipe = recipe
        self._incarnation = uuid.uuid4().hex
        self._line = Line(recipe.lanes, recipe.max_batch)
        self._calls: dict[tuple[str, int], _Call] = {}
        self._pace = 0.0
        """The most processor time that a second of audio has taken so far; 0 while nobody knows."""
        self._threads = ThreadPoolExecutor(recipe.lanes, thread_name_prefix="lane")
        self._tasks: set[asyncio.Task[None]] = set()
        self._engine: Future[tuple[Engine, Capabilities]] = self._threads.submit(self._load)

    async def describe(self) -> Ready | LoadFailure:
        """Whether the engine could be loaded; answers once that is known."""
        try:
            _, capabilities = await asyncio.wrap_future(self._engine)
        except Exception as error:  # noqa: BLE001 - whatever a backend raises is told to the gateways
            return LoadFailure(type(error).__name__, f"{type(error).__name__}: {error}")
        return Ready(capabilities)

    async def load(self) -> Load:
        """What there is to do."""
        return Load(self._incarnation, self._line.rows, self._line.busy)

    async def process_id(self) -> int:
        """Of the process on its node."""
        return os.getpid()

    async def transcribe(
        self, caller: str, number: int, key: Hashable, batch: list[DecodeRequest]
    ) -> Decoded | Undecoded:
        """Decodes a batch, together with what others sent.

        Args:
            caller: Whose call it is.
            number: By which the caller can take it back.
            key: Of the batch: rows of equal keys may share an engine call.
        """
        if not self._engine.done():
            await asyncio.wrap_future(self._engine)
        # Arrays of Ray's object store cannot be written to, and keep their place in it while they are held.
        own = [replace(row, samples=np.array(row.samples)) for row in batch]
        call = _Call(len(own), key, alone=any(row.alone for row in own), batch=own)
        self._calls[caller, number] = call
        self._line.put(call)
        self._fill_lanes()
        try:
            results = await call.answer
        except Exception as error:  # noqa: BLE001 - the gateway tries the rows one by one
            return Undecoded(f"{type(error).__name__}: {error}", is_out_of_memory(error), await self.load())
        finally:
            del self._calls[caller, number]
        return Decoded(results, await self.load())

    async def forget(self, caller: str, number: int) -> None:
        """Takes back a call that nobody waits for any more, if it has not begun."""
        call = self._calls.get((caller, number))
        if call is not None and self._line.discard(call):
            call.answer.cancel()
            self._fill_lanes()

    def _load(self) -> tuple[Engine, Capabilities]:
        engine = self._recipe.load()
        allocator.trim()  # as a worker does
        return engine, engine.capabilities

    def _fill_lanes(self) -> None:
        while batch := self._line.take():
            calls = [call for call in batch if isinstance(call, _Call)]
            task = asyncio.get_running_loop().create_task(self._run(calls))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, calls: list[_Call]) -> None:
        """One engine call; if that fails, one for each gateway's call, so that none suffers for another's."""
        try:
            results = await self._decode([row for call in calls for row in call.batch])
        except Exception as error:  # noqa: BLE001 - as in `transcribe`
            for call in calls:
                if len(calls) == 1:
                    _give(call, error)
                else:
                    await self._run_alone(call)
        else:
            for call in calls:
                _give(call, results[: call.rows])
                results = results[call.rows :]
        self._line.done(list[Waiting](calls))
        self._fill_lanes()

    async def _run_alone(self, call: _Call) -> None:
        try:
            _give(call, await self._decode(call.batch))
        except Exception as error:  # noqa: BLE001 - as in `transcribe`
            _give(call, error)

    async def _decode(self, batch: Sequence[DecodeRequest]) -> Results:
        engine, _ = self._engine.result()
        seconds = sum(len(row.samples) for row in batch) / SAMPLE_RATE
        options = self._recipe.options
        began = cpu_seconds(os.getpid())
        watch = asyncio.ensure_future(
            until_stuck(
                os.getpid(), options.row_timeout, options.busy_timeout(len(batch), seconds, self._pace)
            )
        )
        work = asyncio.get_running_loop().run_in_executor(self._threads, engine.transcribe, batch)
        futures: list[asyncio.Future[Any]] = [watch, work]
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            # Nothing ends a thread that hangs but the end of its process.
            faulthandler.dump_traceback(sys.__stderr__ or 2)
            os._exit(1)
        watch.cancel()
        results = work.result()
        if len(results) != len(batch):
            raise ValueError(f"{len(results)} results for {len(batch)} rows")
        if seconds >= LEAST_PACE_SECONDS:
            self._pace = max(self._pace, (cpu_seconds(os.getpid()) - began) / seconds)
        return results


def _give(call: _Call, outcome: Results | Exception) -> None:
    if call.answer.done():
        return
    if isinstance(outcome, Exception):
        call.answer.set_exception(outcome)
    else:
        call.answer.set_result(outcome)
