"""Audio seconds per second for 1, 4 and 16 clients, against the engine driven directly and faster-whisper."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from bench.engines import Cutter, cpu_threads, hypotheses, whisper
from bench.server import serve
from bench.stage import Bench, Finding, Plot, Table, Target
from bench.stats import interleaved, ratios, seconds, spread

CLIENTS = (1, 4, 16)
BEAM = 5
BATCH = 8
SETTINGS = {"GATEWAY_BEAM_SIZE": str(BEAM), "GATEWAY_DEVICE": "cpu"}
LIMIT, SEQUENTIAL, BATCHED = "the limit", "faster_whisper", "faster_whisper batched"
FITTED = "gateway, 16 clients, audio_context=fit"


@dataclass(frozen=True, slots=True)
class Case:
    """A model, and what it is measured with."""

    name: str
    seconds: int
    rounds: int
    clients: tuple[int, ...] = CLIENTS


def run(bench: Bench) -> Iterator[Finding]:
    """The miniature; in full also Whisper tiny's and small's dimensions."""
    cases = [Case("miniature", 20 if bench.quick else 60, bench.rounds)]
    if not bench.quick:
        # A row of small takes seconds on two cores: short recordings keep this within minutes.
        cases += [Case("tiny", 20, bench.rounds), Case("small", 4, 3, clients=(16,))]
    lines = {}
    for case in cases:
        values = _measure(bench, case)
        shares = {name: ratios(rates, values[LIMIT]) for name, rates in values.items()}
        yield Table(
            f"{case.name}, recordings of {case.seconds} s, {case.rounds} rounds",
            ("", "audio seconds per second", "of the limit"),
            [(name, spread(rates, 1), spread(shares[name])) for name, rates in values.items()],
        )
        yield from _targets(case.name, values)
        lines[case.name] = [(n, median(shares[_clients(n)])) for n in case.clients]
    yield Plot("Throughput, the limit being 1", "clients", "share of the limit", lines)


def _clients(count: int) -> str:
    return f"gateway, {count} client{'s'[: count > 1]}"


def _measure(bench: Bench, case: Case) -> dict[str, list[float]]:
    model = bench.model(case.name)
    files = [bench.opus(case.seconds, start) for start in range(max(case.clients))]
    with ExitStack() as stack:
        server = stack.enter_context(serve(model, **SETTINGS))
        work: dict[str, tuple[Callable[[Sequence[Path]], None], list[Path]]] = {
            _clients(count): (server.upload_all, files[:count]) for count in case.clients
        }
        if case.name == "miniature":  # the other models' length of text goes by the share of padding
            fitted = stack.enter_context(serve(model, GATEWAY_AUDIO_CONTEXT="fit", **SETTINGS))
            work[FITTED] = fitted.upload_all, files
        work |= {
            name: (call, files[: BATCH if name == LIMIT else 2]) for name, call in _direct(model).items()
        }

        def rate(name: str) -> float:
            call, some = work[name]
            return case.seconds * len(some) / seconds(partial(call, some))

        for name in (SEQUENTIAL, BATCHED):
            rate(name)  # the first call loads faster-whisper's VAD
        return interleaved({name: partial(rate, name) for name in work}, case.rounds)


def _direct(model: Path) -> dict[str, Callable[[Sequence[Path]], None]]:
    """The engine and faster-whisper in this process."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel  # noqa: PLC0415 - a heavy import

    threads = cpu_threads()
    engine, cutter = whisper(model, cpu_threads=threads, max_batch=BATCH, beam_size=BEAM).load(), Cutter()
    theirs: Any = WhisperModel(
        str(model), device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
    )

    def limit(files: Sequence[Path]) -> None:
        rows = (chunk for file in files for chunk in cutter.chunks(file))
        while batch := list(islice(rows, BATCH)):
            hypotheses(engine, batch)

    def transcribe(model: Any, files: Sequence[Path], **options: Any) -> None:
        for file in files:
            segments, _ = model.transcribe(
                str(file), beam_size=BEAM, language="en", temperature=0.0, vad_filter=True, **options
            )
            list(segments)

    pipeline = BatchedInferencePipeline(theirs)
    return {
        LIMIT: limit,
        SEQUENTIAL: partial(transcribe, theirs, condition_on_previous_text=False),
        BATCHED: partial(transcribe, pipeline, without_timestamps=False, batch_size=BATCH),
    }


def _targets(name: str, values: dict[str, list[float]]) -> Iterator[Target]:
    best = max(values[SEQUENTIAL], values[BATCHED], key=median)
    most, share = values[_clients(max(CLIENTS))], 0.75 if name == "miniature" else 0.9

    def target(text: str, found: list[float], least: float) -> Target:
        return Target(f"{name}: {text}", spread(found), median(found) >= least)

    if FITTED in values:
        text = "with audio_context=fit 16 clients reach 1.3 of faster-whisper at its best"
        yield target(text, ratios(values[FITTED], best), 1.3)
    yield target(f"16 clients reach {share} of the limit", ratios(most, values[LIMIT]), share)
    yield target("16 clients reach 1.3 of faster-whisper at its best", ratios(most, best), 1.3)
