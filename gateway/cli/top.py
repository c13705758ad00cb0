"""``gateway top``: how servers are, in the terminal, by what their `/metrics` and `/health` say."""

from typing import Annotated

import typer

from gateway.cli.common import fail

WINDOW_SECONDS = 60.0
"""Rates and quantiles are of the last minute."""


def top(
    servers: Annotated[
        list[str] | None,
        typer.Argument(
            help="Addresses of servers.", metavar="[URL]...", show_default="http://127.0.0.1:8000"
        ),
    ] = None,
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Show it once, since the servers' start, and end.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Numbers for programs: an object for each look, a list within.")
    ] = False,
    interval: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.2)] = 2.0,
    api_key: Annotated[
        str | None,
        typer.Option(
            help="Where a proxy asks for one; the server itself shows these to everybody.",
            envvar="OPENAI_API_KEY",
            show_envvar=True,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Watch servers: who is there, what waits, how late it is, who was refused and why.

    Ends with status 1 where --once finds a server that cannot be asked.
    """
    from gateway.cli.top_loop import Looks, watch  # noqa: PLC0415 - see the package's docstring

    looks = Looks(servers or ["http://127.0.0.1:8000"], api_key, window=WINDOW_SECONDS)
    errors = watch(looks, interval=None if once else interval, as_json=as_json)
    if errors:
        fail("\n".join(errors))
