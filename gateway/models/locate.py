"""From what the operator named, or did not name, to a folder with weights that can be loaded."""

import re
from pathlib import Path

from gateway.errors import ModelUnavailableError, nearest_name
from gateway.models.hub import WHISPER_REPOS, Hub
from gateway.models.index import Index
from gateway.models.layout import fault
from gateway.models.sources import Located, choose, offers

_BY_QUALITY = (
    *("large-v3", "large-v3-turbo", "large-v2", "large-v1", "medium", "small"),
    *("distil-large-v3.5", "distil-large-v3", "distil-large-v2", "medium.en", "distil-medium.en"),
    *("small.en", "distil-small.en", "base", "base.en", "tiny", "tiny.en"),
)
"""Cached models from best to least for a GPU, where all of them keep pace. English-only ones come after those
that hear all languages well."""

_BY_PACE = (
    *(
        "small",
        "base",
        "large-v3-turbo",
        "medium",
        "small.en",
        "distil-small.en",
        "base.en",
        "tiny",
        "tiny.en",
    ),
    *("distil-medium.en", "distil-large-v3.5", "distil-large-v3", "distil-large-v2", "medium.en"),
    *("large-v3", "large-v2", "large-v1"),
)
"""The same for a CPU: what nobody chose must keep pace with live speech, so the large ones come last."""


def locate(model: str, hub: Hub, index: Index | None = None) -> Located:
    """Finds the one model that the operator named, within seconds.

    Args:
        model: A name of faster-whisper's (``small``), a folder with a CTranslate2 Whisper, or a hub id
            (``org/name``). A known name beats a folder called so; ``./small`` means the folder.

    Raises:
        ModelUnavailableError: It is nowhere, or what is there is broken.
    """
    if model in WHISPER_REPOS:
        return _named(model, WHISPER_REPOS[model], hub, index)
    folder = Path(model).expanduser()
    if model and folder.is_dir():
        if trouble := fault(folder):
            raise ModelUnavailableError(f"{folder} is no CTranslate2 Whisper model: {trouble}")
        name = folder.name if folder.name not in ("", "..") else folder.resolve().name
        return Located(name, folder.resolve)
    if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", model):
        return _named(model, model, hub, index)
    nearest = nearest_name(model, WHISPER_REPOS)
    hint = f" (did you mean {nearest}?)" if nearest else ""
    raise ModelUnavailableError(
        f"Model '{model}' is neither a folder nor a hub id (org/name) nor a known name{hint}: "
        f"{', '.join(WHISPER_REPOS)}"
    )


def locate_default(hub: Hub, index: Index | None = None, *, on_gpu: bool) -> Located:
    """Chooses a model where none was named: a cached Whisper, or one that can be fetched, within seconds.

    On a GPU that is ``large-v3-turbo`` where it can be had; else ``base``, of whichever source answers first.

    Raises:
        ModelUnavailableError: None is cached, and no source answers.
    """
    if found := cached_default(hub, on_gpu=on_gpu):
        return found
    names = ["large-v3-turbo", "base"] if on_gpu else ["base"]
    return choose([offers(name, WHISPER_REPOS[name], hub, index or Index()) for name in names])


def cached_default(hub: Hub, *, on_gpu: bool) -> Located | None:
    """The cached Whisper that is served where none was named."""
    for name in _BY_QUALITY if on_gpu else _BY_PACE:
        if folder := _cached(WHISPER_REPOS[name], hub):
            return Located(name, lambda: folder)
    return None


def _named(name: str, repo: str, hub: Hub, index: Index | None) -> Located:
    if folder := _cached(repo, hub):
        return Located(name, lambda: folder)
    return choose([offers(name, repo, hub, index or Index())])


def _cached(repo: str, hub: Hub) -> Path | None:
    """A whole snapshot. The hub is not asked for a newer one: a restart must not change the model."""
    return next((folder for folder in hub.snapshots(repo) if fault(folder) is None), None)
