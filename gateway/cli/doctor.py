"""``gateway doctor``: what is wrong with this machine, and what to do about it."""

import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from gateway.cli.common import fail

if TYPE_CHECKING:
    from gateway.engine.devices.cuda import Finding
    from gateway.settings import Settings

SECONDS = 30.0
"""For all checks together. The slowest, a driver that has to wake up, has 20."""

Look: TypeAlias = "Callable[[Settings], Iterable[Finding]]"

MODULES = {
    "python": "machine",
    "packages": "machine",
    "device": "engine",
    "models": "engine",
    "upstreams": "upstream",
    "vad": "engine",
    "speakers": "engine",
    "decoders": "machine",
    "port": "machine",
    "processor": "machine",
    "memory": "engine",
    "disk": "machine",
    "descriptors": "machine",
}
"""Where the checks are. Each imports its module itself: a package that cannot be loaded is its finding."""

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "bold red"}


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the report: what was looked at, and what was found."""

    check: str
    finding: "Finding"


def doctor(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default="8000")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Model to serve; repeatable.", metavar="NAME_OR_PATH", show_default="the best at hand"
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.", show_default="auto")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Look at everything the server needs, and say what to do. The exit status is 1 if there is a problem."""
    # What the checks find they say themselves.
    logging.disable(logging.CRITICAL)
    flags = {"host": host, "port": port, "model": tuple(model) if model else None, "device": device}
    try:
        from gateway.engine.devices.cuda import Finding  # noqa: PLC0415 - see the package's docstring

        settings, faults = _settings(flags)
    except ImportError as error:
        fail(f"not even the settings can be read: {error}. Install again: pip install --force-reinstall .")
    mend = "Correct it; until then the defaults are looked at"
    results = [Result("settings", Finding("problem", fault, mend)) for fault in faults]
    results += examine(settings)
    ok = all(result.finding.level != "problem" for result in results)
    if as_json:
        _print_json(results, ok=ok)
    else:
        _print(results)
    raise typer.Exit(0 if ok else 1)


def examine(
    settings: "Settings", checks: dict[str, Look] | None = None, *, seconds: float = SECONDS
) -> Iterator[Result]:
    """Runs all checks at the same time and yields their findings in order.

    Each is guarded and has its time, whatever is broken.
    """
    from gateway.engine.devices.cuda import Finding  # noqa: PLC0415 - see the package's docstring

    checks = checks or {name: _importing(name, module) for name, module in MODULES.items()}
    outcomes: queue.SimpleQueue[tuple[str, list[Finding]]] = queue.SimpleQueue()
    for name, look in checks.items():
        # Daemons: one that hangs, on a dead network disk for one, must not keep the process.
        threading.Thread(
            target=lambda name=name, look=look: outcomes.put((name, _guarded(look, settings))), daemon=True
        ).start()
    found: dict[str, list[Finding]] = {}
    deadline = time.monotonic() + seconds
    try:
        for _ in checks:
            name, findings = outcomes.get(timeout=max(0.0, deadline - time.monotonic()))
            found[name] = findings
    except queue.Empty:
        pass
    unanswered = [Finding("problem", f"no answer within {seconds:g} s")]
    for name in checks:
        for finding in found.get(name, unanswered):
            yield Result(name, finding)


def _importing(name: str, module: str) -> Look:
    def look(settings: "Settings") -> "Iterable[Finding]":
        found: Iterable[Finding] = getattr(import_module(f"gateway.cli.checks_{module}"), f"check_{name}")(
            settings
        )
        return found

    return look


def _guarded(look: Look, settings: "Settings") -> "list[Finding]":
    from gateway.engine.devices.cuda import Finding  # noqa: PLC0415 - see the package's docstring

    findings = []
    try:
        for finding in look(settings):
            findings.append(finding)  # noqa: PERF402 - what was found before an error counts
    except Exception as error:  # noqa: BLE001 - whatever is broken here is what the operator wants to know
        findings.append(Finding("problem", f"cannot be checked: {type(error).__name__}: {error}"))
    return findings


def _settings(flags: dict[str, Any]) -> "tuple[Settings, list[str]]":
    """The settings and what is wrong with them, in which case they are the defaults."""
    from gateway.cli.settings import load_settings  # noqa: PLC0415 - see the package's docstring
    from gateway.errors import SettingsError  # noqa: PLC0415
    from gateway.settings import Settings  # noqa: PLC0415

    try:
        return load_settings(flags).settings, []
    except SettingsError as error:
        return Settings.model_construct(), list(error.faults)


def _print(results: Iterable[Result]) -> None:
    from rich.console import Console  # noqa: PLC0415 - see the package's docstring
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    if not console.is_terminal:
        for result in results:
            finding = result.finding
            remedy = f" -> {finding.remedy}" if finding.remedy else ""
            typer.echo(f"{finding.level:<8} {result.check:<12} {finding.text}{remedy}")
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    before = ""
    for result in results:
        finding = result.finding
        text = Text(finding.text)
        if finding.remedy:
            text.append(f"\n→ {finding.remedy}", style="cyan")
        level = Text(finding.level, style=_COLOURS[finding.level])
        table.add_row(level, "" if result.check == before else result.check, text)
        before = result.check
    console.print(table)


def _print_json(results: Iterable[Result], *, ok: bool) -> None:
    checks = [{"check": result.check, **asdict(result.finding)} for result in results]
    typer.echo(json.dumps({"ok": ok, "checks": checks}, indent=2))
