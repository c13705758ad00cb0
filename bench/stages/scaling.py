"""What a row costs in batches of different sizes: on the CPU, and on an NVIDIA GPU where there is one."""

from collections.abc import Iterator
from functools import partial
from statistics import median

from bench.audio import speech
from bench.engines import cards, cpu_threads, hypotheses, whisper, whole
from bench.stage import Bench, Finding, Plot, Table
from bench.stats import interleaved, ratios, seconds, spread

ROW_SECONDS = 28


def run(bench: Bench) -> Iterator[Finding]:
    """Full rows of 28 s, beam 5."""
    sizes: tuple[int, ...] = (1, 2, 4, 8) if bench.quick else (1, 2, 4, 8, 16)
    models = {name: whisper(bench.model(name), cpu_threads=cpu_threads()) for name in bench.models}
    cases = [(f"{name}, CPU", spec, sizes) for name, spec in models.items()]
    for card in cards():
        spec = whisper(bench.model("small"), device="cuda")
        cases.append((f"small, {card}", spec, (1, 2, 4, 8, 16, 32, 64)))
    costs, latencies = {}, {}
    for name, spec, counts in cases:
        engine = spec.load()
        rows = [whole(speech(ROW_SECONDS, start=start)) for start in range(max(counts))]
        work = {n: partial(hypotheses, engine, rows[:n]) for n in counts}
        took = interleaved({n: partial(seconds, work[n]) for n in counts}, bench.rounds)
        batch = {n: [1000 * value for value in took[n]] for n in counts}
        latencies[name] = [(n, median(batch[n])) for n in counts]
        costs[name] = [(n, latency / n) for n, latency in latencies[name]]
        alone = {n: [one * n for one in batch[1]] for n in counts}
        yield Table(
            name,
            ("rows", "ms for the batch", "ms per row", "cost of a row, alone being 1"),
            [
                (f"{n}", spread(batch[n], 0), f"{cost:.0f}", spread(ratios(batch[n], alone[n])))
                for n, cost in costs[name]
            ],
        )
    yield Plot(f"Cost of a row of {ROW_SECONDS} s", "rows in a batch", "ms per row", costs)
    yield Plot("Latency of the batch", "rows in a batch", "ms", latencies)
