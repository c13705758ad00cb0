"""``gateway doctor``: what is wrong with this machine, and what to do about it."""

import json
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common import fail

if TYPE_CHECKING:
    from gateway.cli.checks import Result
    from gateway.settings import Settings

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def doctor(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Model to serve; repeatable.", metavar="NAME_OR_PATH")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Look at everything the server needs, and say what to do. The exit status is 1 if there is a problem."""
    # What the checks find they say themselves.
    logging.disable(logging.CRITICAL)
    flags = {"host": host, "port": port, "model": tuple(model) if model else None, "device": device}
    try:
        from gateway.cli.checks import Result, examine  # noqa: PLC0415 - see the package's docstring
        from gateway.engine.devices.cuda import Finding  # noqa: PLC0415

        settings, faults = _settings({name: value for name, value in flags.items() if value is not None})
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


def _settings(flags: dict[str, Any]) -> "tuple[Settings, list[str]]":
    """The settings and what is wrong with them, in which case they are the defaults."""
    from pydantic import ValidationError  # noqa: PLC0415 - see the package's docstring

    from gateway.settings import Settings  # noqa: PLC0415

    try:
        return Settings(**flags), []
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        return Settings.model_construct(), faults


def _print(results: "Iterable[Result]") -> None:
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


def _print_json(results: "Iterable[Result]", *, ok: bool) -> None:
    checks = [
        {
            "check": result.check,
            "level": result.finding.level,
            "text": result.finding.text,
            "remedy": result.finding.remedy,
        }
        for result in results
    ]
    typer.echo(json.dumps({"ok": ok, "checks": checks}, indent=2))
