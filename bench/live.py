"""Live captions: how late they are, for how many people at once, and whether what was told is kept to."""

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import live_idle
from bench.live_figures import largest, percentile
from bench.live_stage import MOST_LAG, Run, Stage, as_files
from bench.live_table import per_cent, runs_table
from bench.report import Bench, Plot, Report, Target
from bench.server import serve
from bench.table import Table
from bench.talk import phrases
from gateway.engine.devices.cuda import choose

OVERLOAD = 2.5
MOST_OVERLOAD_LAG = 5.0
MOST_CLIENTS = 256
"""What one process of clients can send at the right time."""

_NOTE = (
    "Each client appends 100 ms of 24 kHz PCM every 100 ms by the wall clock: turns of one to three "
    "phrases of known text with pauses of 0.9 to 2.5 s between them, all clients at different times; "
    "`server_vad` with its defaults, a silence window of 0.5 s. *Final*: from the end the server tells "
    "of, when the window is over, to `completed`; *from the last word*: from that word's true end, the "
    "window within. *First text*: from the utterance's start as the server tells it, 0.3 s of padding "
    "included, to its first delta. *Words*: from a word's true end to the delta that has it. *Begins with "
    "released*: of the finals with text told before the utterance's end, those that begin with it; "
    "*equals its deltas*: of all. Errors are of words, over all that was said, lost tails included; as "
    "files: each phrase uploaded alone. The clients share the machine with the server. *Continuous* is "
    "`gpt-live-transcribe`, its client commits 0.8 s behind each turn, and the final is counted from "
    "there. Where more arrive than fit, newcomers are refused once the finals of those admitted take too "
    "long."
)


@dataclass(frozen=True, slots=True)
class _Case:
    name: str
    model: Path
    speaks: bool = True
    """Its words mean something."""


@dataclass(frozen=True, slots=True)
class _Result:
    """Of one model."""

    case: _Case
    best: int
    probes: dict[int, Run]
    runs: list[Run]
    overload: Run | None


def run(bench: Bench) -> Report:
    """The miniature; in full also PocketSphinx, and on CUDA random weights of Whisper small's dimensions."""
    said = phrases()
    cases = [_Case("miniature", bench.miniature)]
    if not bench.quick:
        cases.append(_Case("PocketSphinx", Path("pocketsphinx")))
        cases += [
            _Case(f"small, random weights, {card}", bench.small, speaks=False)
            for card in choose("auto", [0], "auto")
        ]
    results = []
    for number, case in enumerate(cases):
        with serve(case.model) as server:
            if not number:
                idle = live_idle.measure(server, 6 if bench.quick else 20)
            stage = Stage(server, said, as_files(server, said) if case.speaks else {})
            results.append(_measure(bench, case, stage, thorough=not number))
    tables = [_idle_table(idle), *map(_runs_table, results)]
    return Report(
        tables,
        [*_idle_targets(idle), *(target for result in results for target in _targets(result))],
        [_NOTE],
        [
            Plot(
                f"Final behind the silence window, {result.case.name}",
                "clients",
                "s",
                {f"p{percent}": _points(result, percent) for percent in (50, 95)},
                log_x=True,
            )
            for result in results
        ],
    )


def _measure(bench: Bench, case: _Case, stage: Stage, *, thorough: bool) -> _Result:
    length, probe = (20, 8) if bench.quick else (60, 12)
    probes: dict[int, Run] = {}

    def fits(clients: int) -> bool:
        probes[clients] = stage.run(f"{clients}", clients, probe)
        print(f"{case.name}: {clients} clients, p95 {probes[clients].lag:.2f} s", flush=True)
        return probes[clients].fits

    alone = stage.run("1 client", 1, min(length, 30))
    best = largest(fits, MOST_CLIENTS, halvings=1 if bench.quick else 2)
    runs = [alone]
    if best > 1:
        runs.append(stage.run(f"{best} clients", best, length))
    overload = None
    if thorough and best:
        many = max(1, best // 4)
        runs.append(stage.run(f"{many} continuous", many, length / 2, continuous=True))
        crowd = round(OVERLOAD * best)
        overload = stage.run(f"{crowd} arriving", crowd, length / 2, over=length / 4)
        runs.append(overload)
    return _Result(case, best, probes, runs, overload)


def _points(result: _Result, percent: float) -> list[tuple[float, float]]:
    return [
        (clients, percentile(run.figures.finals, percent)) for clients, run in sorted(result.probes.items())
    ]


def _runs_table(result: _Result) -> Table:
    title = f"{result.case.name}: at most {result.best} clients with p95 of the final within {MOST_LAG:g} s"
    return runs_table(title, result.runs)


def _targets(result: _Result) -> list[Target]:
    alone = result.runs[0]
    final = median(alone.figures.finals) if alone.figures.finals else math.nan
    name = result.case.name
    found = [
        Target(
            f"{name}: one client's final comes within one engine call and 100 ms of the silence window's end",
            f"{1000 * (final - alone.batch):.0f} ms more than a call",
            final <= alone.batch + 0.1,
        )
    ]
    if result.case.speaks:
        released = [run.figures for run in [*result.runs, *result.probes.values()] if run.figures.released]
        finals = sum(one.released for one in released)
        share = sum(one.begins * one.released for one in released) / finals if finals else math.nan
        found.append(
            Target(
                f"{name}: a final begins with what was released in 95 %",
                f"{per_cent(share)} of {finals} in all runs",
                share >= 0.95,
            )
        )
    if result.overload is not None:
        overload = result.overload.figures
        worst = max(overload.finals, default=math.nan)
        found.append(
            Target(
                f"{name}: {OVERLOAD:g} times as many: finals within {MOST_OVERLOAD_LAG:g} s, nothing is lost",
                f"{worst:.1f} s at most, {overload.refused} refused, {overload.broken} broken, "
                f"{overload.lost} lost",
                worst < MOST_OVERLOAD_LAG and not (overload.broken + overload.lost),
            )
        )
    return found


def _idle_table(idle: live_idle.Idle) -> Table:
    rows = (
        ("CPU of the server, % of a core", f"{100 * idle.core:.2f}"),
        ("memory of the server, MB", f"{idle.megabytes:.2f}"),
        ("memory of one that sends nothing, kB", f"{idle.idle_kilobytes:.0f}"),
    )
    return Table(
        f"A session in which nobody speaks: mean of {live_idle.SILENT} that send silence, and of "
        f"{live_idle.OPEN} that send nothing",
        ("", "value"),
        rows,
    )


def _idle_targets(idle: live_idle.Idle) -> list[Target]:
    return [
        Target("a silent client takes at most 1 % of a core", f"{100 * idle.core:.2f} %", idle.core <= 0.01),
        Target("and at most 2 MB", f"{idle.megabytes:.2f} MB", idle.megabytes <= 2),
        Target(
            f"{live_idle.OPEN} idle sessions stay", f"{idle.stayed} answer", idle.stayed == live_idle.OPEN
        ),
    ]
