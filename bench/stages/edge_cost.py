"""CPU time outside the engine: by stage, and of the server for a short clip."""

import time
from collections.abc import Iterator
from functools import partial
from statistics import median

from bench.engines import steps
from bench.server import cpu_seconds, serve
from bench.stage import Bench, Finding, Table, Target
from bench.stats import interleaved, seconds

CLIP = 3
LONG = 60
REPEATS = {CLIP: 20, LONG: 3}
"""As the kernel counts a process's CPU time in steps of 10 ms, and as a server's caches are warm."""

LABELS = {
    "decode": "decode (PyAV)",
    "loudness": "loudness",
    "VAD": "VAD (Silero)",
    "cutting": "cutting",
    "features": "features, in the worker",
    "server": "server, all of it",
    "rest": "server without decode, loudness, VAD, cutting",
}


def run(bench: Bench) -> Iterator[Finding]:
    """The miniature's features and answers; the stages are the gateway's own."""
    values = {}
    with serve(bench.model()) as server:
        for length, repeats in REPEATS.items():
            file = bench.opus(length)
            took = partial(seconds, repeats=repeats)
            sides = {
                name: partial(took, step, clock=time.process_time)
                for name, step in steps(file.read_bytes()).items()
            }
            clock = partial(cpu_seconds, server.edge)
            sides["server"] = partial(took, partial(server.upload, file), clock=clock)
            measured = interleaved(sides, bench.rounds)
            values[length] = own = {name: 1000 * median(each) for name, each in measured.items()}
            own["rest"] = own["server"] - sum(own[name] for name in ("decode", "loudness", "VAD", "cutting"))
    clip, long = values[CLIP], values[LONG]
    columns = ("", f"clip of {CLIP} s", f"recording of {LONG} s", "per audio second of it")
    rows = [
        (label, f"{clip[name]:.1f}", f"{long[name]:.1f}", f"{long[name] / LONG:.2f}")
        for name, label in LABELS.items()
    ]
    yield Table("CPU milliseconds, Opus 16 kb/s, miniature", columns, rows)
    beyond = clip["server"] - clip["decode"] - clip["VAD"]
    text = "the server spends at most 15 ms on a clip of 3 s beyond decode and VAD"
    yield Target(text, f"{beyond:.1f} ms", beyond <= 15)
