"""``python -m bench``: runs the stages, prints their tables, and writes tables and plots if told so."""

import argparse
import datetime as dt
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from bench.stage import Bench, Finding, Plot, markdown
from bench.stages import DEFAULT, NAMES

HERE = Path(__file__).resolve().parent


def main() -> None:
    """The command."""
    if sys.argv[1:2] == ["words"]:
        # With real weights and a folder of speech, it has options of its own.
        try:
            command = import_module("bench.words")
        except ModuleNotFoundError as error:
            sys.exit(f"{error.name} is not installed: pip install -e '.[test]'")
        command.main(sys.argv[2:])
        return
    arguments = parse()
    # As Ctrl-C does: so that a server in progress ends, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Kept from run to run: recordings and models are the same each time.
    bench = Bench(Path(tempfile.gettempdir()) / "gateway-bench", quick=arguments.quick)
    where = ", ".join(filter(None, [_processor(), f"{os.cpu_count()} cores", arguments.machine]))
    for name in [*arguments.names, *arguments.only] or DEFAULT:
        started = time.monotonic()
        print(f"\n## {name}\n", flush=True)
        findings: list[Finding] = []
        stage = import_module(f"bench.stages.{name}")
        for finding in stage.run(bench):
            findings.append(finding)
            # At once: a stage of half an hour that is broken off has shown what it had.
            print(f"{markdown([finding])}\n", flush=True)
        took = f"{time.monotonic() - started:.0f} s{', --quick' if bench.quick else ''}"
        stamp = f"{dt.datetime.now(tz=dt.UTC):%Y-%m-%d}, {where}; took {took}."
        print(stamp, flush=True)
        if arguments.write:
            _write(name, findings, stamp, getattr(stage, "PAGE", HERE / "README.md"))


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The stages are in ``names`` and ``only``, none for the default ones; ends the process if wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    # Not ``choices``: before Python 3.12 they refuse the empty list.
    parser.add_argument("names", nargs="*", type=_stage, metavar="STAGE", help=", ".join(NAMES))
    parser.add_argument("--only", action="append", default=[], choices=NAMES, help="the same, repeatable")
    parser.add_argument("--quick", action="store_true", help="the miniature only, a few minutes")
    parser.add_argument("--write", action="store_true", help="write tables and plots into bench/")
    parser.add_argument("--machine", default="", help="what to call the machine beside its processor")
    return parser.parse_args(argv)


def _stage(name: str) -> str:
    if name not in NAMES:
        raise argparse.ArgumentTypeError(f"no stage is called {name!r}")
    return name


def _write(name: str, findings: list[Finding], stamp: str, page: Path) -> None:
    blocks = [markdown(findings), stamp]
    if plots := [finding for finding in findings if isinstance(finding, Plot)]:
        _draw(plots, HERE / "results" / f"{name}.svg")
        plot = os.path.relpath(HERE / "results" / f"{name}.svg", page.parent)
        blocks.insert(0, f"![{name}]({plot})")
    page.write_text(replace(page.read_text("utf-8"), name, "\n\n".join(blocks)), "utf-8")


def replace(page: str, name: str, text: str) -> str:
    """The page with ``text`` between the two comments that name the stage.

    Raises:
        ValueError: It lacks one of them.
    """
    before, begin, rest = page.partition(f"<!-- {name} -->")
    _, end, after = rest.partition(f"<!-- end of {name} -->")
    if not begin or not end:
        raise ValueError(f"the page has no place for {name}")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def _draw(plots: Sequence[Plot], path: Path) -> None:
    """Writes the plots side by side as SVG; the same bytes for the same figures."""
    import matplotlib as mpl  # noqa: PLC0415 - of the bench extra; the tables do without

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "bench"
    from matplotlib import pyplot as plt  # noqa: PLC0415 - the same

    figure, axes = plt.subplots(1, len(plots), figsize=(5 * len(plots), 3.6), squeeze=False)
    for axis, plot in zip(axes[0], plots, strict=True):
        for name, points in plot.lines.items():
            axis.plot(*zip(*points, strict=True), marker="o", label=name)
        axis.set_xscale("log")
        ticks = sorted({x for points in plot.lines.values() for x, _ in points})
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.minorticks_off()
        axis.set(title=plot.title, xlabel=plot.x_label, ylabel=plot.y_label)
        axis.set_ylim(bottom=0)
        axis.legend()
        axis.grid(alpha=0.3)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
