"""The ``gateway`` command and its subcommands, of which ``gateway serve`` is here."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.common import failing_plainly, read_settings
from gateway.cli.doctor import doctor
from gateway.cli.keys import keys
from gateway.cli.models import models
from gateway.cli.top import top
from gateway.cli.transcribe import transcribe

app = typer.Typer(
    name="gateway",
    help="A self-hosted transcription server that speaks OpenAI's audio API.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.command()
def serve(  # noqa: PLR0913 - a command's flags are its arguments
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one.", show_default="8000")
    ] = None,
    ssl_certfile: Annotated[
        Path | None,
        typer.Option(help="Certificate as PEM; the server then speaks https.", show_default="none"),
    ] = None,
    ssl_keyfile: Annotated[
        Path | None, typer.Option(help="Its private key, if not in the same file.", show_default="none")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Model to serve: a name (small, large-v3-turbo), a hub id or a local folder. "
            "Repeatable; the first one answers to OpenAI's names.",
            metavar="NAME_OR_PATH",
            show_default="the best at hand",
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.", show_default="auto")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes for each model.", show_default="1")
    ] = None,
    engines: Annotated[
        str | None,
        typer.Option(
            help="Where engines run: here, unless on a Ray cluster, ray:auto or ray:HOST:PORT.",
            show_default="",
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file with settings, also for several models.")
    ] = None,
    no_auth: Annotated[
        bool,
        typer.Option(
            "--no-auth", help="Serve everybody without a key, where other machines can reach the server, too."
        ),
    ] = False,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error.", show_default="info")
    ] = None,
) -> None:
    """Start the server. Every setting is also an environment variable, as GATEWAY_PORT."""
    flags: dict[str, Any] = {
        "host": host,
        "port": port,
        "ssl_certfile": ssl_certfile,
        "ssl_keyfile": ssl_keyfile,
        "model": tuple(model) if model else None,
        "device": device,
        "workers": workers,
        "engines": engines,
        "config": config,
        "no_auth": no_auth or None,
        "log_level": log_level,
    }
    settings = read_settings(flags)
    with failing_plainly():
        from gateway.door import open_door  # noqa: PLC0415 - see the package's docstring

        settings, listeners = open_door(settings)
        from gateway.serving import run  # noqa: PLC0415 - takes seconds, which whoever connects now waits

        run(settings, listeners)


app.command()(transcribe)
app.command()(doctor)
app.command()(top)
app.add_typer(models, name="models")
app.add_typer(keys, name="keys")


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
