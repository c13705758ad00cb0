"""``python -m bench``: runs the experiments, prints their tables, and writes tables and plots if told so."""

import argparse
import datetime as dt
import importlib
import os
import platform
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench.readme import replace
from bench.report import Bench, Report

EXPERIMENTS = (
    "throughput",
    "first_delta",
    "memory",
    "overlap",
    "fairness",
    "cancellation",
    "edge_cost",
    "scaling",
    "loop_hold",
    "live",
    "live_policy",
)
HERE = Path(__file__).resolve().parent


def main() -> None:
    """The command."""
    if sys.argv[1:2] == ["words"]:
        # With real weights and a folder of speech, it has options of its own.
        importlib.import_module("bench.words").main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the miniature only, a few minutes")
    parser.add_argument("--only", action="append", choices=EXPERIMENTS, help="run these, repeatable")
    parser.add_argument("--write", action="store_true", help="write tables and plots into bench/")
    parser.add_argument("--machine", default="", help="what to call the machine beside its processor")
    arguments = parser.parse_args()
    # As Ctrl-C does: so that a server in progress ends, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Kept from run to run: recordings and models are the same each time.
    bench = Bench(Path(tempfile.gettempdir()) / "gateway-bench", quick=arguments.quick)
    where = ", ".join(filter(None, [_processor(), f"{os.cpu_count()} cores", arguments.machine]))
    for name in arguments.only or EXPERIMENTS:
        started = time.monotonic()
        report: Report = importlib.import_module(f"bench.{name}").run(bench)
        took = f"{time.monotonic() - started:.0f} s{', --quick' if bench.quick else ''}"
        stamp = f"{dt.datetime.now(tz=dt.UTC):%Y-%m-%d}, {where}; took {took}."
        print(f"\n## {name}\n\n{report.markdown()}\n\n{stamp}", flush=True)
        if arguments.write:
            _write(name, report, stamp)


def _write(name: str, report: Report, stamp: str) -> None:
    blocks = [report.markdown(), stamp]
    if report.plots:
        from bench.plot import draw  # noqa: PLC0415 - only here is matplotlib needed

        draw(report.plots, HERE / "results" / f"{name}.svg")
        blocks.insert(0, f"![{name}](results/{name}.svg)")
    readme = HERE / "README.md"
    readme.write_text(replace(readme.read_text("utf-8"), name, "\n\n".join(blocks)), "utf-8")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
