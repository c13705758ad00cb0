"""The command line. Commands import what they need when they run, so that ``--help`` is there at once."""

from typing import Annotated, Any

import typer

app = typer.Typer(
    name="gateway",
    help="A self-hosted transcription server that speaks OpenAI's audio API.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


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


@app.command()
def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on [127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one [8000].")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Model to serve: a name (small, large-v3-turbo, pocketsphinx), a hub id or a local folder. "
            "Repeatable; the first one answers to OpenAI's names. None takes the best at hand.",
            metavar="NAME_OR_PATH",
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda [auto].")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes for each model [1].")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error [info].")] = None,
) -> None:
    """Start the server. Every setting is also an environment variable, as GATEWAY_PORT."""
    from pydantic import ValidationError  # noqa: PLC0415 - see the module's docstring

    from gateway.app import StartError, run  # noqa: PLC0415
    from gateway.config import Settings  # noqa: PLC0415

    flags: dict[str, Any] = {
        "host": host,
        "port": port,
        "model": tuple(model) if model else None,
        "device": device,
        "workers": workers,
        "log_level": log_level,
    }
    try:
        settings = Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        for problem in error.errors():
            typer.echo(f"gateway: {'.'.join(map(str, problem['loc']))}: {problem['msg']}", err=True)
        raise typer.Exit(2) from None
    try:
        run(settings)
    except StartError as error:
        typer.echo(f"gateway: {error}", err=True)
        raise typer.Exit(1) from None
