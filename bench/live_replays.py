"""All turns by all ways of deciding what is told, in a process per core with the environment of a worker."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from typing import cast

from bench.audio import speech
from bench.live_decoder import Costs, Decoder, measure
from bench.live_replay import Replay
from bench.live_turns import Turn
from bench.realtime_client import Session
from gateway.audio.frontend import FrontEnd
from gateway.audio.segmenter import Segmenter
from gateway.audio.silero import SileroModel
from gateway.audio.turns import TurnOptions
from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import DecodeOptions, Model
from gateway.engine.devices.placement import Machine, worker_environments
from gateway.engine.process import ProcessSpec
from gateway.flow.options import PartialOptions, Recognition

SPEECH_SECONDS = 20
"""By which engines are timed."""

_DECODING = DecodeOptions(language="en")


def replay(
    spec: ProcessSpec, turns: Sequence[Turn], options: Mapping[str, PartialOptions]
) -> tuple[Costs, dict[str, list[Session]]]:
    """What the engine costs, and by the names of ``options`` a session for each turn."""
    workers = os.cpu_count() or 1
    (environment,) = worker_environments([None], Machine.here(), threads=1)
    with _environment(environment), ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        # Before all else, as what runs beside a decode slows it down.
        costs = pool.submit(_measure, spec).result()
        shares = [turns[number::workers] for number in range(workers)]
        done = list(pool.map(partial(_replay, spec, costs, options), shares))
    return costs, {
        name: [done[number % workers][name][number // workers] for number in range(len(turns))]
        for name in options
    }


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """For processes started within: libraries read it while they are loaded."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _measure(spec: ProcessSpec) -> Costs:
    engine, samples = spec.load(), speech(SPEECH_SECONDS)
    partials = replace(_DECODING, beam_size=PartialOptions().beam_size)
    return Costs(measure(engine, samples, partials), measure(engine, samples, _DECODING))


def _replay(
    spec: ProcessSpec, costs: Costs, options: Mapping[str, PartialOptions], turns: Sequence[Turn]
) -> dict[str, list[Session]]:
    engine, vad = spec.load(), SileroModel.load()
    # Nobody asks a recognition for its model but who decodes.
    recognition = Recognition(cast("Model", spec), "replayed", _DECODING, None)
    sessions: dict[str, list[Session]] = {name: [] for name in options}
    for turn in turns:
        decoder = Decoder(engine)
        for name, variant in options.items():
            segmenter = Segmenter(FrontEnd(vad), TurnOptions())
            items = Replay(segmenter, decoder, costs, recognition, variant).run(turn.samples)
            session = Session(turn.said, len(turn.samples) / SAMPLE_RATE, created=True, items=items)
            sessions[name].append(session)
    return sessions
