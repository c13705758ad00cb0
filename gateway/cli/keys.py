"""``gateway keys``: keys for clients, of which the server's file holds the SHA-256 alone."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.common import failing_plainly

keys = typer.Typer(help="Make API keys.", no_args_is_help=True)


@keys.callback()
def root() -> None:
    """Make API keys."""


@keys.command()
def add(
    name: Annotated[str, typer.Argument(help="Whose it is; stands in logs and metrics.")],
    *,
    file: Annotated[Path, typer.Option(help="The file that GATEWAY_KEYS_FILE names.")] = Path("keys.toml"),
) -> None:
    """Make a key, print it once, and add its hash to the file; a running server takes it within seconds.

    Limits of its own stand below its entry: requests_per_minute, audio_minutes,
    streams, sessions, waiting_bytes. Whoever's entry is deleted is out.
    """
    from gateway.keys import add_key, new_key  # noqa: PLC0415 - see the package's docstring

    key = new_key()
    with failing_plainly():
        add_key(file, name, key)
    typer.echo(key)
