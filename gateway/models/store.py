"""What the hub's cache holds of Whisper models: to list, to add to and to remove from, in its layout."""

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import ModelUnavailableError, StoreError, nearest_name
from gateway.models.hub import SHA256, WHISPER_REPOS, Hub
from gateway.models.layout import fault
from gateway.models.workspace import workspace


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A repository in the cache that holds a Whisper, or was meant to.

    Attributes:
        name: What ``--model`` takes: the short name where there is one, else the repository's.
        folder: The snapshot that would be served, or the best there is.
        size: Bytes on disk, of all snapshots and of what is half fetched.
        fault: Why it cannot be served.
    """

    name: str
    repo: str
    folder: Path | None
    size: int
    fault: str | None


def repo_of(name: str) -> str:
    """The repository that a name of ``--model`` means.

    Raises:
        StoreError: It means none.
    """
    if name in WHISPER_REPOS:
        return WHISPER_REPOS[name]
    if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name) and "--" not in name:
        return name
    nearest = nearest_name(name, WHISPER_REPOS)
    hint = f" (did you mean {nearest}?)" if nearest else ""
    raise StoreError(
        f"'{name}' is neither a hub id (org/name) nor a known name{hint}: {', '.join(WHISPER_REPOS)}"
    )


def cached_models(hub: Hub) -> list[CachedModel]:
    """All repositories in the cache that may be Whisper models, in the order of their names."""
    repos = [
        path.name.removeprefix("models--").replace("--", "/", 1)
        for path in sorted(hub.cache.glob("models--*--*"))
        if path.is_dir()
    ]
    return [
        _describe(hub, repo) for repo in repos if repo in WHISPER_REPOS.values() or _has_weights(hub, repo)
    ]


def cached_size(repo: str, hub: Hub) -> int:
    """Bytes on disk.

    Raises:
        StoreError: It is not there.
    """
    root = hub.root(repo)
    if not root.is_dir():
        raise StoreError(f"{repo} is not in the cache {hub.cache}")
    return _size(root)


def whole_snapshot(repo: str, hub: Hub) -> Path:
    """The snapshot that would be served.

    Raises:
        StoreError: There is none that is whole.
    """
    model = _describe(hub, repo)
    if model.folder is None or model.fault is not None:
        raise StoreError(f"{repo} in {hub.cache}: {model.fault}")
    return model.folder


def remove(repo: str, hub: Hub) -> None:
    """Deletes a repository from the cache; a server that has it loaded keeps it."""
    root = hub.root(repo)
    # Gone at once under its name: what is half deleted is never found.
    with workspace(hub.cache, ".removed-") as doomed:
        root.rename(doomed / root.name)
    shutil.rmtree(hub.cache / ".locks" / root.name, ignore_errors=True)


def install(folder: Path, repo: str, hub: Hub, *, revision: str | None = None) -> Path:
    """Moves a folder's files into the cache as its current snapshot, which is there as a whole or not at all.

    Args:
        folder: On the cache's disk, with the model's files alone.
        revision: What the snapshot is called; None makes a name of its contents, so that the same files give
            the same one.

    Raises:
        StoreError: They are no Whisper model.
    """
    if trouble := fault(folder):
        raise StoreError(f"this is no CTranslate2 Whisper model: {trouble}")
    root = hub.root(repo)
    sums = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    contents = repr(sorted(sums.items())).encode()
    commit = revision or hashlib.sha1(contents, usedforsecurity=False).hexdigest()
    if root.exists():
        _fill(root, folder, sums, commit)
    else:
        # Whole before it has its name: a process that is killed leaves nothing under it.
        fresh = folder.parent / root.name
        _fill(fresh, folder, sums, commit)
        try:
            fresh.rename(root)
        except OSError as error:
            raise StoreError(f"{repo} is put into {hub.cache} by somebody else: try again") from error
    return root / "snapshots" / commit


def _fill(root: Path, folder: Path, sums: Mapping[str, str], commit: str) -> None:
    """Moves the folder's files into a repository as its current snapshot."""
    for part in ("blobs", "refs", "snapshots"):
        (root / part).mkdir(parents=True, exist_ok=True)
    links = folder.parent / "links"
    links.mkdir()
    for name, digest in sums.items():
        # Blobs are named as the hub client names weights, so that a later pull finds them there.
        (folder / name).replace(root / "blobs" / digest)
        (links / name).symlink_to(Path("..", "..", "blobs", digest))
    snapshot = root / "snapshots" / commit
    if not snapshot.is_dir() or fault(snapshot):
        shutil.rmtree(snapshot, ignore_errors=True)
        links.rename(snapshot)
    reference = folder.parent / "main"
    reference.write_text(commit)
    reference.replace(root / "refs" / "main")


def check_weights(folder: Path) -> None:
    """Holds a fetched model against the checksum that the hub gave for its weights.

    Raises:
        ModelUnavailableError: They differ; the broken file is deleted, so that it is fetched anew.
    """
    blob = (folder / "model.bin").resolve()
    # The hub client names files by the hub's checksum, SHA-256 for what is kept in Git LFS or Xet.
    if SHA256.fullmatch(blob.name) and sha256(blob) != blob.name:
        blob.unlink()
        raise ModelUnavailableError(f"{blob} was not what the hub announced and is deleted: pull it again")


def sha256(path: Path) -> str:
    """The checksum of a file's contents, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _describe(hub: Hub, repo: str) -> CachedModel:
    snapshots = hub.snapshots(repo)
    whole = next((folder for folder in snapshots if fault(folder) is None), None)
    folder = whole or next(iter(snapshots), None)
    name = next((name for name, of in WHISPER_REPOS.items() if of == repo), repo)
    trouble = None if whole else "not in the cache" if folder is None else fault(folder)
    return CachedModel(name, repo, folder, _size(hub.root(repo)), trouble)


def _has_weights(hub: Hub, repo: str) -> bool:
    return any(os.path.lexists(folder / "model.bin") for folder in hub.snapshots(repo))


def _size(root: Path) -> int:
    """Bytes of all files, links not followed."""
    return sum(path.lstat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink())
