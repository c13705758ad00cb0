"""What a row costs in batches of different sizes: on the CPU, and on an NVIDIA GPU where there is one."""

import time
from collections.abc import Callable
from functools import partial
from statistics import median

from bench.audio import speech
from bench.report import Bench, Plot, Report
from bench.table import Table, interleaved, spread
from gateway.engine.api import DecodeOptions, DecodeRequest
from gateway.engine.devices.cuda import choose
from gateway.engine.whisper.engine import WhisperEngine, WhisperSpec
from gateway.runtime import whisper_options
from gateway.settings import Settings

ROW_SECONDS = 28


def run(bench: Bench) -> Report:
    """Full rows of 28 s, beam 5."""
    sizes = (1, 2, 4, 8) if bench.quick else (1, 2, 4, 8, 16)
    cases: list[tuple[str, WhisperSpec, tuple[int, ...]]] = []
    threads = whisper_options(Settings(device="cpu")).cpu_threads
    models = {"miniature": bench.miniature}
    if not bench.quick:
        models["tiny"] = bench.tiny
    cases += [
        (f"{name}, CPU", WhisperSpec(name, path, cpu_threads=threads), sizes) for name, path in models.items()
    ]
    for card in choose("auto", [0], "auto"):
        spec = WhisperSpec("small", bench.small, device="cuda")
        cases.append((f"small, {card}", spec, (1, 2, 4, 8, 16, 32, 64)))
    tables, costs, latencies = [], {}, {}
    for name, spec, counts in cases:
        values = _measure(spec.load(), counts, bench.rounds)
        tables.append(_table(name, counts, values))
        costs[name] = [(n, 1000 * median(values[f"{n}"]) / n) for n in counts]
        latencies[name] = [(n, 1000 * median(values[f"{n}"])) for n in counts]
    return Report(
        tables,
        plots=[
            Plot(f"Cost of a row of {ROW_SECONDS} s", "rows in a batch", "ms per row", costs, log_x=True),
            Plot("Latency of the batch", "rows in a batch", "ms", latencies, log_x=True),
        ],
    )


def _measure(engine: WhisperEngine, counts: tuple[int, ...], rounds: int) -> dict[str, list[float]]:
    options = DecodeOptions(language="en")
    rows = [DecodeRequest(speech(ROW_SECONDS, start=start), options) for start in range(max(counts))]
    sides: dict[str, Callable[[], float]] = {f"{n}": partial(_seconds, engine, rows[:n]) for n in counts}
    return interleaved(sides, rounds)


def _seconds(engine: WhisperEngine, rows: list[DecodeRequest]) -> float:
    started = time.perf_counter()
    engine.transcribe(rows)
    return time.perf_counter() - started


def _table(name: str, counts: tuple[int, ...], values: dict[str, list[float]]) -> Table:
    return Table(
        name,
        ("rows", "ms for the batch", "ms per row", "cost of a row, alone being 1"),
        tuple(
            (
                f"{n}",
                spread([1000 * value for value in values[f"{n}"]], 0),
                f"{1000 * median(values[f'{n}']) / n:.0f}",
                spread([value / n / one for value, one in zip(values[f"{n}"], values["1"], strict=True)]),
            )
            for n in counts
        ),
    )
