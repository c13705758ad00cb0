"""The table of `gateway models list`."""

import json
from dataclasses import asdict, dataclass

import typer
from rich import box
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from gateway.errors import ModelUnavailableError, StoreError
from gateway.models.hub import Hub
from gateway.models.locate import cached_default
from gateway.models.speakers import weights as speakers
from gateway.models.store import cached_models, repo_of
from gateway.runtime.whisper import whisper_options
from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class Listed:
    """A model that is at hand, as ``--json`` prints it.

    Attributes:
        bytes: On disk.
        fault: Why it cannot be served.
        default: It is served where none is named.
    """

    name: str
    repo: str
    path: str | None
    bytes: int
    fault: str | None
    default: bool


def listed_models(settings: Settings) -> list[Listed]:
    """The cache's models, and what tells speakers apart."""
    hub = Hub()
    default = _default(settings, hub)
    listed = []
    for model in cached_models(hub):
        path = None if model.folder is None else str(model.folder)
        is_default = model.fault is None and model.repo == default
        listed.append(Listed(model.name, model.repo, path, model.size, model.fault, default=is_default))
    if (folder := speakers.cached(hub)).is_dir():
        size = sum(path.stat().st_size for path in folder.iterdir())
        fault = speakers.fault(folder)
        listed.append(Listed(speakers.NAME, speakers.WHEEL, str(folder), size, fault, default=False))
    return listed


def show(listed: list[Listed], *, as_json: bool) -> None:
    """Prints them on standard output."""
    if as_json:
        typer.echo(json.dumps([asdict(model) for model in listed], indent=2))
        return
    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
    for heading in ("model", "size", "state", "from"):
        table.add_column(heading, justify="right" if heading == "size" else "left", overflow="fold")
    for model in listed:
        table.add_row(
            f"{model.name} *" if model.default else model.name,
            decimal(model.bytes),
            model.fault or "whole",
            model.repo,
        )
    Console().print(table)
    if any(model.default for model in listed):
        typer.echo("* is served where none is named.", err=True)
    else:
        typer.echo("None of them is served where none is named: the server fetches one.", err=True)


def _default(settings: Settings, hub: Hub) -> str | None:
    """The repository that answers to OpenAI's names; None where it must be fetched."""
    if settings.model:
        try:
            return repo_of(settings.model[0])
        except StoreError:  # a folder
            return None
    try:
        found = cached_default(hub, on_gpu=whisper_options(settings).device == "cuda")
    except ModelUnavailableError:  # the device is not there
        return None
    return None if found is None else repo_of(found.name)
