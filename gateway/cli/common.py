"""What the commands share: their settings, their last words, names to complete, names to print."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from gateway.errors import OperatorError

if TYPE_CHECKING:
    from gateway.settings import Settings


def read_settings(flags: Mapping[str, Any]) -> "Settings":
    """The settings of flags, environment and file; a flag of None is one that was not given.

    Raises:
        typer.Exit: One of them is wrong; that was said.
    """
    from gateway.cli.settings import load_settings  # noqa: PLC0415 - see the package's docstring

    with failing_plainly():
        loaded = load_settings(flags)
    for remark in loaded.remarks:
        typer.echo(f"gateway: {remark}", err=True)
    return loaded.settings


@contextmanager
def failing_plainly() -> Iterator[None]:
    """Inside, what is raised for the operator ends the command with that line."""
    try:
        yield
    except OperatorError as error:
        fail(str(error), status=error.exit_status)


def fail(reason: str, *, status: int = 1) -> NoReturn:
    """Ends the command with what is wrong, each line under our name."""
    for line in reason.splitlines():
        typer.echo(f"gateway: {line}", err=True)
    raise typer.Exit(status)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Inside, Ctrl-C ends the process there and then: the hub client would finish its files first.

    What they have fetched stays and is not fetched again.
    """
    before = signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(number: int, _: FrameType | None) -> None:
    os._exit(128 + number)


def complete_model(incomplete: str) -> list[str]:
    """Names of models that begin like this, for the shell."""
    from gateway.models.hub import WHISPER_REPOS  # noqa: PLC0415 - see the package's docstring

    names = dict.fromkeys([*WHISPER_REPOS, *complete_cached(incomplete)])
    return [name for name in names if name.startswith(incomplete)]


def complete_cached(incomplete: str) -> list[str]:
    """Names of models in the cache that begin like this, for the shell."""
    from gateway.models.hub import Hub  # noqa: PLC0415
    from gateway.models.store import cached_models  # noqa: PLC0415

    return [model.name for model in cached_models(Hub()) if model.name.startswith(incomplete)]


def printable(name: str) -> str:
    """A file's name as text in one line, whatever its bytes are."""
    text = os.fsencode(name).decode(errors="replace")
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
