"""The picture that `gateway top` shows of its servers, 80 columns wide."""

import math
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from gateway.cli.common import printable
from gateway.cli.screen import clock
from gateway.cli.top_view import CLASSES, Quantiles, View

NEARLY = 0.8
"""Of a limit: from here on it is shown as nearly reached."""

LATE_SECONDS = 3.0
"""A final that comes later is shown as late."""

GOOD, BAD, WARN, DIM, HEAD = "green", "bold red", "yellow", "dim", "bold cyan"

SHOWN = ("end of speech to final", "first words, live", "first words, recordings", "engine call")


def picture(views: Sequence[View]) -> RenderableType:
    """All servers, one below the other."""
    parts: list[RenderableType] = []
    for number, view in enumerate(views):
        if number:
            parts.append(Text())
        parts += _server(view)
    return Group(*parts)


def _server(view: View) -> Iterable[RenderableType]:
    title = Text(printable(view.url), HEAD)
    if view.error is not None:
        yield title.append("  ").append(printable(view.error), BAD)
        return
    title.append(f"  {view.status}", GOOD if view.status == "ok" else BAD)
    window = (
        "since its start" if view.window_seconds >= view.up_seconds else f"last {view.window_seconds:.0f} s"
    )
    title.append(f"  {view.version}  up {clock(view.up_seconds)}  {window}", DIM)
    yield title
    rows = Table.grid(padding=(0, 1))
    rows.add_column(width=9, style=DIM, no_wrap=True)
    rows.add_column(overflow="fold")
    for name, text in _rows(view):
        rows.add_row(name, text)
    yield rows
    yield _latency(view)


def _rows(view: View) -> Iterable[tuple[str, Text]]:
    opened, limits, rates, sizes = view.open, view.limits, view.rates, view.bytes
    yield (
        "open",
        _joined(
            _of("sessions", opened["sessions"], limits["sessions"]),
            _of("recordings", opened["recordings"], limits["recordings"]),
            _of("handles", opened["handles"], limits["handles"]),
            Text(f"connections {opened['connections']:g}"),
        ),
    )
    waiting = sum(view.queue[each] for each in CLASSES)
    yield (
        "queue",
        _joined(
            *(Text(f"{each} {view.queue[each]:g}") for each in CLASSES),
            _of("of", waiting, limits["rows"], only_limit=True),
            Text(f"oldest {_seconds(view.oldest_row_seconds)}"),
        ),
    )
    yield (
        "engine",
        _joined(
            Text(f"{rates['audio_seconds']:.1f} s of audio/s"),
            Text(f"{rates['rows']:.1f} rows/s"),
            Text(f"{view.queue['running']:g} rows in calls"),
            Text(f"longest {_seconds(view.longest_call_seconds)}"),
        ),
    )
    yield (
        "waiting",
        _joined(
            _of("live audio", sizes["live_audio"], limits["live_audio"], of_bytes=True),
            Text(f"uploads {_bytes(sizes['uploads'])}"),
            Text(f"unread {_bytes(sizes['unread'])}"),
        ),
    )
    yield (
        "uses",
        _joined(
            Text(f"server {_bytes(sizes['server'])}, {rates['server_cores']:.1f} cores"),
            Text(f"workers {_bytes(sizes['workers'])}, {rates['worker_cores']:.1f} cores"),
        ),
    )
    workers = [
        Text.assemble(printable(name), " ", Text(", ".join(states), _state_style(states)))
        for name, states in view.workers.items()
    ]
    restarts = [Text(f"replaced: {name} {count:.0f}", WARN) for name, count in view.restarts.items()]
    yield "workers", _joined(*workers, *restarts)
    most = sorted(view.refusals.items(), key=lambda pair: -pair[1])
    refused = [Text(f"{name} {count:.0f}", WARN) for name, count in most[:6]]
    yield "refused", _joined(*refused) if refused else Text("nobody", GOOD)
    if view.slowest:
        slow = [Text(f"{name} p95 {_seconds(value)}") for name, value in view.slowest.items()]
        yield "slowest", _joined(*slow)


def _latency(view: View) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("how late", style=DIM, header_style=DIM, no_wrap=True, min_width=26)
    for heading in ("p50", "p95", "times"):
        table.add_column(heading, justify="right", header_style=DIM, min_width=8)
    named = {name: view.latency[name] for name in SHOWN}
    named |= {name: each for name, each in view.latency.items() if name not in SHOWN and each.count}
    for name, each in named.items():
        late = name == SHOWN[0] and each.p95 is not None and each.p95 > LATE_SECONDS
        table.add_row(
            name, _seconds(each.p50), Text(_seconds(each.p95), BAD if late else ""), str(each.count)
        )
    factor: Quantiles = view.real_time_factor
    table.add_row("real-time factor", _number(factor.p50), _number(factor.p95), str(factor.count))
    return table


def _of(name: str, value: float, limit: float, *, of_bytes: bool = False, only_limit: bool = False) -> Text:
    show = _bytes if of_bytes else "{:g}".format
    style = BAD if limit and value >= limit else WARN if limit and value > NEARLY * limit else ""
    return Text(f"{name} {show(limit)}" if only_limit else f"{name} {show(value)}/{show(limit)}", style)


def _joined(*parts: Text) -> Text:
    return Text("  ").join(parts)


def _state_style(states: Sequence[str]) -> str:
    if all(state in {"ready", "busy", "unloaded"} for state in states):
        return GOOD
    return BAD if any(state.startswith("failed") for state in states) else WARN


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    if math.isinf(value):
        return "beyond"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s" if value < 100 else clock(value)


def _number(value: float | None) -> str:
    return "-" if value is None else "beyond" if math.isinf(value) else f"{value:.2f}"


def _bytes(value: float) -> str:
    return decimal(round(value))
