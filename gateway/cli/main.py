"""The ``gateway`` command and its subcommands."""

from typing import Annotated

import typer

from gateway.cli.doctor import doctor
from gateway.cli.models import models
from gateway.cli.serve import serve
from gateway.cli.transcribe import transcribe

app = typer.Typer(
    name="gateway",
    help="A self-hosted transcription server that speaks OpenAI's audio API.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(transcribe)
app.command()(doctor)
app.add_typer(models, name="models")


def main() -> None:
    """Runs a command; its exit status is the process'."""
    app()


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's signature for callbacks
    if wanted:
        from gateway import __version__  # noqa: PLC0415 - reading the metadata costs time

        typer.echo(f"gateway {__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A self-hosted transcription server that speaks OpenAI's audio API."""
