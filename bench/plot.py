"""Plots as SVG; needs the ``bench`` extra."""

from collections.abc import Sequence
from pathlib import Path

from bench.report import Plot


def draw(plots: Sequence[Plot], path: Path) -> None:
    """Writes the plots side by side; the same bytes for the same figures."""
    import matplotlib as mpl  # noqa: PLC0415 - the tables do without

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "bench"
    from matplotlib import pyplot as plt  # noqa: PLC0415 - the same

    figure, axes = plt.subplots(1, len(plots), figsize=(5 * len(plots), 3.6), squeeze=False)
    for axis, plot in zip(axes[0], plots, strict=True):
        for name, points in plot.lines.items():
            axis.plot(*zip(*points, strict=True), marker="o", label=name)
        if plot.log_x:
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
