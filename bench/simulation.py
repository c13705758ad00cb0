"""The gateway as a discrete-event simulation: its own queue, batch sizes and pacing, engines as costs.

What is simulated are clients, engine calls and time. What decides which row goes next, how many share a call,
and when a partial is due is the server's own code, so a change of it changes the result.
"""

import random
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import simpy

from bench.costs import Cost
from bench.stats import percentile
from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import DecodeOptions, DecodeRequest, Priority
from gateway.engine.queue import BatchQueue
from gateway.engine.row import Row
from gateway.engine.sizes import BatchSizes
from gateway.errors import OverloadedError
from gateway.flow.options import PartialOptions
from gateway.flow.pacing import Load, Pacing
from gateway.flow.recording import ROWS_AHEAD
from gateway.metrics import Metrics

CHUNK_SECONDS = 30.0
"""Of a recording's chunks but the last."""

PAUSE_SECONDS = 0.256
"""After so much silence an utterance is decoded as its final."""

LOOK_SECONDS = 0.2
"""A session looks so often whether a partial is due, as audio arrives."""

TICK = 1e-6
"""The clock's least step: a shorter one might not move it."""

Process: TypeAlias = Generator[simpy.Event, Any, None]


@dataclass(frozen=True, slots=True)
class Live:
    """Sessions, and how people speak: lengths are drawn around their means."""

    sessions: int
    speech_seconds: float = 4.0
    pause_seconds: float = 2.5
    partials: PartialOptions = field(default_factory=lambda: PartialOptions(step=0.4))


@dataclass(frozen=True, slots=True)
class Arrival:
    """A recording that comes at a time, of so many seconds of speech."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Fleet:
    """What the queue of one edge has.

    Attributes:
        overhead: Seconds of a request outside of the queue and the engine.
        cut: Seconds to decode and cut a second of a recording.
        wait: Seconds that an idle worker waits for company.
    """

    replicas: int
    cost: Cost
    max_batch: int = 16
    overhead: float = 0.0
    cut: float = 0.0
    wait: float = 0.005


@dataclass(slots=True)
class Outcome:
    """What was seen.

    Attributes:
        finals: Seconds from an utterance's pause to its final.
        files: Of each recording, its length and its seconds.
        busy: Seconds of calls, over all replicas.
        seconds: That were simulated.
    """

    finals: list[float] = field(default_factory=list)
    partials: int = 0
    files: list[tuple[float, float]] = field(default_factory=list)
    refused: int = 0
    calls: int = 0
    rows: int = 0
    audio: float = 0.0
    busy: float = 0.0
    seconds: float = 0.0

    def final(self, percent: float) -> float:
        """Seconds of that percentile of finals; NaN where there are none."""
        return percentile(self.finals, percent)

    def file(self, percent: float) -> float:
        """The same of recordings."""
        return percentile([took for _, took in self.files], percent)


class Simulation:
    """One edge with its queue, its replicas and its clients."""

    def __init__(self, fleet: Fleet, *, seed: int = 1, max_rows: int = 4096) -> None:
        self._env = simpy.Environment()
        self._fleet = fleet
        self._random = random.Random(seed)  # noqa: S311 - nothing is secret
        self._sizes = BatchSizes(fleet.max_batch, fleet.cost.device)
        self._queue = BatchQueue(max_rows, self._sizes.limit, lambda options: options.beam_size, fleet.wait)
        self._metrics = Metrics()
        self._load = Load(self._clock, self._metrics)
        self._changed = self._env.event()
        self._free = fleet.replicas * len(fleet.cost.rates)
        self._alone: dict[int, float] = {}
        """Seconds that each waiting row takes alone."""
        self.outcome = Outcome()

    def run(self, seconds: float, *, live: Live | None = None, files: Sequence[Arrival] = ()) -> Outcome:
        """Simulates so long; what is under way then is not counted."""
        for _ in range(self._fleet.replicas):
            machine = _Machine(self._env, self._fleet.cost.rates)
            for _ in self._fleet.cost.rates:
                self._env.process(self._lane(machine))
        if live is not None:
            for _ in range(live.sessions):
                self._env.process(self._session(live))
        for arrival in files:
            self._env.process(self._file(arrival))
        self._env.run(until=seconds)
        self.outcome.seconds = seconds
        return self.outcome

    def _clock(self) -> float:
        return float(self._env.now)

    def _notify(self) -> None:
        changed, self._changed = self._changed, self._env.event()
        changed.succeed()

    def _put(self, stream: object, seconds: float, priority: Priority) -> tuple[Row, simpy.Event]:
        """A row waits from now on; the event comes with its answer, or when another takes its place.

        Raises:
            OverloadedError: The queue is full.
        """
        is_partial = priority is Priority.LIVE_PARTIAL
        done = self._env.event()
        options = DecodeOptions(language="en", beam_size=1 if is_partial else None)
        request = DecodeRequest(_SILENCE, options, hurried=is_partial)
        row = Row(request, stream, priority, done.succeed)
        replaced = self._queue.put(row, self._clock())
        self._alone[id(row)] = self._fleet.cost.row(seconds, is_partial=is_partial)
        self.outcome.audio += seconds
        if replaced is not None:
            self._alone.pop(id(replaced))
            replaced.settle(OverloadedError("replaced"))
        self._notify()
        return row, done

    def _lane(self, machine: "_Machine") -> Process:
        while True:
            batch = self._queue.take(self._clock(), self._free)
            if not batch:
                due = self._queue.wake_at(self._free)
                waits = [self._changed]
                if due is not None:
                    waits.append(self._env.timeout(max(TICK, due - self._clock())))
                yield self._env.any_of(waits)
                continue
            self._free -= 1
            began = self._clock()
            work = self._fleet.cost.call([self._alone.pop(id(row)) for row in batch])
            yield machine.start(work)
            took = self._clock() - began
            self._free += 1
            self.outcome.calls += 1
            self.outcome.rows += len(batch)
            self.outcome.busy += took
            self._sizes.observe(batch[0].key, len(batch), took)
            for row in batch:
                row.settle(_ANSWER)
            self._notify()

    def _file(self, arrival: Arrival) -> Process:
        """A recording: its rows wait as they are cut, some ahead of the answers."""
        fleet, stream = self._fleet, object()
        yield self._env.timeout(arrival.at)
        began = self._clock()
        waiting: list[simpy.Event] = []
        left = arrival.seconds
        while left > 0:
            seconds = min(CHUNK_SECONDS, left)
            left -= seconds
            yield self._env.timeout(fleet.cut * seconds)
            if len(waiting) >= ROWS_AHEAD:
                yield waiting.pop(0)
            try:
                waiting.append(self._put(stream, seconds, Priority.FILE)[1])
            except OverloadedError:
                self.outcome.refused += 1
                return
        yield self._env.all_of(waiting)
        yield self._env.timeout(fleet.overhead)
        self.outcome.files.append((arrival.seconds, self._clock() - began))

    def _session(self, live: Live) -> Process:
        """Somebody speaks and pauses; partials come as the server's pacing has it."""
        draw, stream = self._random, object()
        pacing = Pacing(self._load, self._clock, self._metrics)
        yield self._env.timeout(draw.uniform(0, live.speech_seconds + live.pause_seconds))
        try:
            with self._load.session():
                while True:
                    yield from self._utterance(live, pacing, stream)
                    yield self._env.timeout(draw.expovariate(1 / live.pause_seconds))
        except OverloadedError:
            self.outcome.refused += 1

    def _utterance(self, live: Live, pacing: Pacing, stream: object) -> Process:
        length = min(CHUNK_SECONDS, max(0.4, self._random.expovariate(1 / live.speech_seconds)))
        began = self._clock()
        origin = round(began * SAMPLE_RATE)
        pacing.put_off(origin, live.partials)
        partial: simpy.Event | None = None
        while (spoken := self._clock() - began) < length - TICK:
            position = origin + round(spoken * SAMPLE_RATE)
            if partial is not None and partial.triggered:
                pacing.end(position, live.partials, in_time=True)
                self.outcome.partials += 1
                partial = None
            if partial is None and pacing.is_due(position, live.partials):
                pacing.begin()
                with suppress(OverloadedError):
                    partial = self._put(("partial", stream), spoken, Priority.LIVE_PARTIAL)[1]
            yield self._env.timeout(min(LOOK_SECONDS, length - spoken))
        yield self._env.timeout(PAUSE_SECONDS)
        if partial is not None:
            pacing.cancel()
        asked = self._clock()
        with self._load.final(counts=True):
            yield self._put(stream, length, Priority.LIVE_FINAL)[1]
        self.outcome.finals.append(self._clock() - asked)


class _Machine:
    """One replica's processor, shared by the calls of its lanes."""

    def __init__(self, env: simpy.Environment, rates: Sequence[float]) -> None:
        self._env = env
        self._rates = rates
        self._left: dict[simpy.Event, float] = {}
        self._at = 0.0
        self._version = 0

    def start(self, work: float) -> simpy.Event:
        """A call that takes so many seconds alone; the event comes when it is done."""
        self._advance()
        done = self._env.event()
        self._left[done] = work
        self._schedule()
        return done

    def _advance(self) -> None:
        now = float(self._env.now)
        if self._left:
            rate = self._rates[len(self._left) - 1]
            self._left = {each: left - rate * (now - self._at) for each, left in self._left.items()}
        self._at = now

    def _schedule(self) -> None:
        self._version += 1
        if self._left:
            seconds = max(0.0, min(self._left.values())) / self._rates[len(self._left) - 1]
            self._env.process(self._finish(seconds, self._version))

    def _finish(self, seconds: float, version: int) -> Process:
        yield self._env.timeout(seconds)
        if version != self._version:
            return  # another call began or ended meanwhile
        self._advance()
        first = min(self._left, key=self._left.__getitem__)
        del self._left[first]
        first.succeed()
        self._schedule()


def arrivals(rate: float, seconds: float, lengths: Sequence[float], *, seed: int = 1) -> list[Arrival]:
    """Recordings that come by chance, ``rate`` a second, of lengths drawn from these."""
    draw = random.Random(seed)  # noqa: S311 - the same for all who compare
    at, coming = draw.expovariate(rate), list[Arrival]()
    while at < seconds:
        coming.append(Arrival(at, draw.choice(lengths)))
        at += draw.expovariate(rate)
    return coming


_SILENCE = np.zeros(0, np.float32)
_ANSWER: Any = OverloadedError("answered")
"""What rows are settled with: nobody reads it."""
