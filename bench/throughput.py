"""Audio seconds per second for 1, 4 and 16 clients, against the engine driven directly and faster-whisper."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

import anyio

from bench import client
from bench.report import Bench, Plot, Report, Target
from bench.server import RunningServer, serve
from bench.table import Table, interleaved, ratios, spread
from gateway.audio.chunking import ChunkingOptions, decode_as, make_cutter
from gateway.audio.silero import SileroModel
from gateway.engine.api import DecodeOptions, DecodeRequest
from gateway.engine.whisper.engine import WhisperEngine, WhisperSpec
from gateway.runtime import whisper_options
from gateway.settings import Settings

CLIENTS = (1, 4, 16)
BEAM = 5
BATCH = 8
LIMIT, SEQUENTIAL, BATCHED = "the limit", "faster_whisper", "faster_whisper batched"
FITTED = "gateway, 16 clients, audio_context=fit"


@dataclass(frozen=True, slots=True)
class Case:
    """A model, and what it is measured with."""

    name: str
    model: Path
    seconds: int
    rounds: int
    clients: tuple[int, ...] = CLIENTS


def run(bench: Bench) -> Report:
    """The miniature; in full also Whisper tiny's and small's dimensions."""
    cases = [Case("miniature", bench.miniature, 20 if bench.quick else 60, bench.rounds)]
    if not bench.quick:
        # A row of small takes seconds on two cores: short recordings keep this within minutes.
        cases += [
            Case("tiny", bench.tiny, 20, bench.rounds),
            Case("small", bench.small, 4, 3, clients=(16,)),
        ]
    tables, targets, lines = [], [], {}
    for case in cases:
        values = _measure(bench, case)
        title = f"{case.name}, recordings of {case.seconds} s, {case.rounds} rounds"
        tables.append(_table(title, values))
        targets += _targets(case.name, values)
        lines[case.name] = [(n, median(ratios(values[_clients(n)], values[LIMIT]))) for n in case.clients]
    plot = Plot("Throughput, the limit being 1", "clients", "share of the limit", lines, log_x=True)
    return Report(tables, targets, [_NOTE], [plot])


_NOTE = (
    "The limit: the same decoding, loudness, VAD, cutting and engine calls in one process and thread, full "
    "batches, no client. faster-whisper takes one recording after another, with the same model, beam 5, "
    "language, timestamps, temperature, VAD filter and number of threads, without the text before as prompt."
)


def _clients(count: int) -> str:
    return f"gateway, {count} client{'s'[: count > 1]}"


def _measure(bench: Bench, case: Case) -> dict[str, list[float]]:
    files = [bench.opus(case.seconds, start) for start in range(max(case.clients))]
    threads = whisper_options(Settings(device="cpu")).cpu_threads
    direct = _Direct(case.model, threads)
    settings = {"GATEWAY_BEAM_SIZE": str(BEAM), "GATEWAY_MAX_BATCH": str(BATCH), "GATEWAY_DEVICE": "cpu"}
    with ExitStack() as stack:
        server = stack.enter_context(serve(case.model, **settings))
        sides: dict[str, Callable[[], float]] = {
            _clients(count): partial(_gateway, server, files[:count], case.seconds) for count in case.clients
        }
        if case.name == "miniature":  # the other models' length of text goes by the share of padding
            fitted = stack.enter_context(serve(case.model, GATEWAY_AUDIO_CONTEXT="fit", **settings))
            sides[FITTED] = partial(_gateway, fitted, files, case.seconds)
        for name, work, some in (
            (LIMIT, direct.limit, files[:8]),
            (SEQUENTIAL, direct.sequential, files[:2]),
            (BATCHED, direct.batched, files[:2]),
        ):
            sides[name] = partial(_rate, partial(work, some), case.seconds * len(some))
        for side in (SEQUENTIAL, BATCHED):
            sides[side]()  # the first call loads faster-whisper's VAD
        return interleaved(sides, case.rounds)


def _rate(work: Callable[[], None], seconds: float) -> float:
    started = time.perf_counter()
    work()
    return seconds / (time.perf_counter() - started)


def _gateway(server: RunningServer, files: list[Path], seconds: int) -> float:
    async def all_at_once() -> None:
        async with anyio.create_task_group() as tasks:
            for file in files:
                tasks.start_soon(client.transcribe, server.port, file)

    return _rate(partial(anyio.run, all_at_once), seconds * len(files))


class _Direct:
    """The engine and faster-whisper in this process."""

    def __init__(self, model: Path, threads: int) -> None:
        from faster_whisper import BatchedInferencePipeline, WhisperModel  # noqa: PLC0415 - a heavy import

        spec = WhisperSpec(model.name, model, cpu_threads=threads, max_batch=BATCH, beam_size=BEAM)
        self._engine: WhisperEngine = spec.load()
        self._vad = SileroModel.load()
        self._model: Any = WhisperModel(
            str(model), device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
        )
        self._batched: Any = BatchedInferencePipeline(self._model)

    def limit(self, files: list[Path]) -> None:
        rows: list[DecodeRequest] = []
        options = DecodeOptions(language="en")
        for path in files:
            cutter = make_cutter(self._vad, ChunkingOptions())
            with path.open("rb") as file:
                for block in chain(decode_as(file, ChunkingOptions()), [None]):
                    chunks = cutter.flush() if block is None else cutter.feed(block)
                    rows += (DecodeRequest(chunk.samples, options) for chunk in chunks)
                    while len(rows) >= BATCH:
                        self._engine.transcribe(rows[:BATCH])
                        del rows[:BATCH]
        if rows:
            self._engine.transcribe(rows)

    def sequential(self, files: list[Path]) -> None:
        for file in files:
            segments, _ = self._model.transcribe(
                str(file),
                beam_size=BEAM,
                language="en",
                temperature=0.0,
                vad_filter=True,
                condition_on_previous_text=False,
            )
            list(segments)

    def batched(self, files: list[Path]) -> None:
        for file in files:
            segments, _ = self._batched.transcribe(
                str(file),
                beam_size=BEAM,
                language="en",
                temperature=0.0,
                vad_filter=True,
                without_timestamps=False,
                batch_size=BATCH,
            )
            list(segments)


def _table(title: str, values: dict[str, list[float]]) -> Table:
    rows = tuple(
        (name, spread(rates, 1), spread(ratios(rates, values[LIMIT]))) for name, rates in values.items()
    )
    return Table(title, ("", "audio seconds per second", "of the limit"), rows)


def _targets(name: str, values: dict[str, list[float]]) -> list[Target]:
    share = 0.75 if name == "miniature" else 0.9
    most = values[_clients(max(CLIENTS))]
    of_limit = ratios(most, values[LIMIT])
    best = max(values[SEQUENTIAL], values[BATCHED], key=median)
    of_best = ratios(most, best)
    fitted = []
    if FITTED in values:
        of_fit = ratios(values[FITTED], best)
        text = f"{name}: with audio_context=fit 16 clients reach 1.3 of faster-whisper at its best"
        fitted.append(Target(text, spread(of_fit), median(of_fit) >= 1.3))
    return [
        *fitted,
        Target(f"{name}: 16 clients reach {share} of the limit", spread(of_limit), median(of_limit) >= share),
        Target(
            f"{name}: 16 clients reach 1.3 of faster-whisper at its best",
            spread(of_best),
            median(of_best) >= 1.3,
        ),
    ]
