"""Calls at once and threads of each: what rows that wait cost, and what a clip takes that is alone.

Each arrangement is a process of its own, as a worker is. Arrangements take turns.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from bench.audio import speech
from bench.engines import hypotheses, whisper, whole
from bench.hearing import find_base, model_name
from bench.server import memory_mb
from bench.stage import Bench, Finding, Plot, Table
from bench.stats import interleaved, ratios, spread
from gateway import allocator
from gateway.engine.devices.placement import Machine, lane_environment
from gateway.engine.sizes import row_costs

ROW_SECONDS = 28
CLIP_SECONDS = 3
ROWS = 8
TOGETHER = (1, 2)
"""Rows of a call."""


def run(bench: Bench) -> Iterator[Finding]:
    """One wide lane, a narrow one for each core, and what lies between and beyond."""
    model = find_base() or bench.model()
    cores = Machine.here().core_count
    ours = Machine.here().lanes(0, wanted_threads=0, workers=1)
    arrangements = list(
        dict.fromkeys([(1, cores), (cores, 1), (ours.count, ours.threads), (2 * cores, cores)])
    )
    found: dict[tuple[int, int], list[dict[str, float]]] = {each: [] for each in arrangements}

    def measured(lanes: int, threads: int) -> float:
        figures = _in_a_process(model, lanes, threads)
        found[lanes, threads].append(figures)
        return figures["seconds 1"]

    sides = {each: partial(measured, *each) for each in arrangements}
    took = interleaved(sides, 1 if bench.quick else 3)
    wide = took[1, cores]
    rows = []
    for each, figures in found.items():
        rows.append(
            (
                f"{each[0]} x {each[1]}{', the default' * (each == (ours.count, ours.threads))}",
                spread([one / ROWS for one in took[each]]),
                spread(ratios(took[each], wide)),
                *(f"{median(one[f'cpu {rows}'] for one in figures) / ROWS:.2f}" for rows in TOGETHER),
                f"{median(one['clip'] for one in figures):.2f}",
                f"{max(one['memory'] for one in figures):.0f}",
            )
        )
    columns = (
        "lanes x threads",
        "s for a row, all lanes busy",
        "of one wide lane",
        "CPU s for a row",
        "in calls of two",
        "s for a clip alone",
        "memory, MB",
    )
    yield Table(f"{model_name(model)}, int8, beam 5, rows of {ROW_SECONDS} s, {cores} cores", columns, rows)
    costs = row_costs("cpu")
    yield Plot("Cost of a row, kept as data", "rows in a call", "alone being 1", {"CPU": [*costs.items()]})


def _in_a_process(model: Path, lanes: int, threads: int) -> dict[str, float]:
    environment = {**os.environ, **lane_environment(threads)}
    command = [sys.executable, "-m", "bench.stages.lanes", str(model), str(lanes), str(threads)]
    answer = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    figures: dict[str, float] = json.loads(answer.stdout)
    return figures


def measure(model: Path, lanes: int, threads: int) -> dict[str, Any]:
    """Figures of this process."""
    engine = whisper(model, lanes=lanes, cpu_threads=threads).load()
    rows = [whole(speech(ROW_SECONDS, start=start)) for start in range(ROWS)]
    clip = whole(speech(CLIP_SECONDS))
    figures: dict[str, Any] = {}
    clips = []
    for _ in range(4):
        began = time.perf_counter()
        hypotheses(engine, [clip])
        clips.append(time.perf_counter() - began)
    figures["clip"] = median(clips[1:])
    for together in TOGETHER:
        calls = [rows[at : at + together] for at in range(0, ROWS, together)]
        began, cpu = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(lanes) as pool:
            list(pool.map(partial(hypotheses, engine), calls))
        figures[f"seconds {together}"] = time.perf_counter() - began
        figures[f"cpu {together}"] = time.process_time() - cpu
        figures.setdefault("memory", memory_mb(os.getpid(), peak=True))
    return figures


def main(arguments: Sequence[str]) -> None:
    """One arrangement's figures, as JSON."""
    model, lanes, threads = arguments
    allocator.keep()
    print(json.dumps(measure(Path(model), int(lanes), int(threads))))


if __name__ == "__main__":
    main(sys.argv[1:])
