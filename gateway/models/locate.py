"""From what the operator named, or did not name, to a folder with weights that can be loaded."""

import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from gateway.errors import ModelUnavailableError
from gateway.models.hub import WHISPER_REPOS, Hub

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

_KNOWN_LAYOUTS = range(4, 7)
"""Versions of CTranslate2's model.bin with the same layout (`src/models/model.cc`, `Model::load`)."""


@dataclass(frozen=True, slots=True)
class Located:
    """A model that was found, and is fetched if it must be.

    Attributes:
        name: What it is called where nobody gave it a name.
        fetch: Gives the folder of its weights, after a download if they are not there; raises
            ModelUnavailableError.
        progress: How far the download is; None before it began.
    """

    name: str
    fetch: Callable[[], Path]
    progress: Callable[[], str | None] = lambda: None


def locate(model: str, hub: Hub) -> Located:
    """Finds the one model that the operator named, within seconds.

    Args:
        model: A name of faster-whisper's (``small``), a folder with a CTranslate2 Whisper, or a hub id
            (``org/name``). A known name beats a folder called so; ``./small`` means the folder.

    Raises:
        ModelUnavailableError: It is nowhere, or what is there is broken.
    """
    if model in WHISPER_REPOS:
        return _at_hub(model, WHISPER_REPOS[model], hub)
    folder = Path(model).expanduser()
    if model and folder.is_dir():
        if trouble := fault(folder):
            raise ModelUnavailableError(f"{folder} is no CTranslate2 Whisper model: {trouble}")
        name = folder.name if folder.name not in ("", "..") else folder.resolve().name
        return Located(name, folder.resolve)
    if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", model):
        return _at_hub(model, model, hub)
    raise ModelUnavailableError(
        f"Model '{model}' is neither a folder nor a hub id (org/name) nor a known name: "
        f"{', '.join(WHISPER_REPOS)}"
    )


def locate_default(hub: Hub, *, on_gpu: bool) -> Located:
    """Chooses a model where none was named: a cached Whisper, or one of the hub's.

    Raises:
        ModelUnavailableError: None is cached, and the hub does not answer.
    """
    if found := cached_default(hub, on_gpu=on_gpu):
        return found
    name = "large-v3-turbo" if on_gpu else "base"
    return _at_hub(name, WHISPER_REPOS[name], hub)


def cached_default(hub: Hub, *, on_gpu: bool) -> Located | None:
    """The cached Whisper that is served where none was named."""
    for name in _BY_QUALITY if on_gpu else _BY_PACE:
        if folder := _cached(WHISPER_REPOS[name], hub):
            return Located(name, lambda: folder)
    return None


def fault(folder: Path) -> str | None:
    """Says what keeps a folder from being a CTranslate2 Whisper, or None; takes milliseconds."""
    missing = [
        name for name in ("model.bin", "config.json", "tokenizer.json") if not (folder / name).is_file()
    ]
    if not any(path.is_file() for path in folder.glob("vocabulary.*")):
        missing.append("vocabulary.json (or .txt)")
    if missing:
        return f"missing {', '.join(missing)}"
    for path in sorted(folder.glob("*.json")):
        try:
            json.loads(path.read_bytes())
        except ValueError:
            return f"{path.name} is broken off or no JSON"
    with (folder / "model.bin").open("rb") as file:
        return _model_fault(file)


def _at_hub(name: str, repo: str, hub: Hub) -> Located:
    if folder := _cached(repo, hub):
        return Located(name, lambda: folder)
    hub.check(repo)

    def fetch() -> Path:
        folder = hub.download(repo)
        if trouble := fault(folder):
            raise ModelUnavailableError(f"{repo} is no CTranslate2 Whisper model: {trouble} ({folder})")
        return folder

    return Located(
        name, fetch, lambda: f"downloading {repo}: {hub.fetched_bytes(repo) // 1_000_000} MB so far"
    )


def _cached(repo: str, hub: Hub) -> Path | None:
    """A whole snapshot. The hub is not asked for a newer one: a restart must not change the model."""
    return next((folder for folder in hub.snapshots(repo) if fault(folder) is None), None)


def _model_fault(file: BinaryIO) -> str | None:
    """Walks from variable to variable, so that a copy that broke off is told here, not by a dying worker.

    The layout is that of `ModelSpec._serialize` in CTranslate2's `specs/model_spec.py`.
    """
    if file.read(20) == b"version https://git-":
        return "model.bin is a Git LFS pointer; fetch the file itself with 'git lfs pull'"
    size = file.seek(0, 2)
    file.seek(0)
    try:
        version = _number(file, "I")
        if version not in _KNOWN_LAYOUTS:
            return (
                None
                if version > max(_KNOWN_LAYOUTS)
                else "model.bin is no CTranslate2 model (or a very old one)"
            )
        kind = _string(file)
        if kind != "WhisperSpec":
            return f"model.bin holds a {kind}, not a WhisperSpec"
        _number(file, "I")  # the spec's revision
        for _ in range(_number(file, "I")):
            _string(file)
            file.seek(4 * _number(file, "B") + 1, 1)  # shape, then the type's number
            file.seek(_number(file, "I"), 1)
        for _ in range(_number(file, "I")):  # aliases
            _string(file)
            _string(file)
    except struct.error:
        return f"model.bin is broken off after {size} bytes"
    return None


def _number(file: BinaryIO, kind: Literal["B", "H", "I"]) -> int:
    """The next little-endian unsigned number of 1, 2 or 4 bytes; struct.error at the end of the file."""
    number: int
    (number,) = struct.unpack(f"<{kind}", file.read(struct.calcsize(f"<{kind}")))
    return number


def _string(file: BinaryIO) -> str:
    length = _number(file, "H")
    (raw,) = struct.unpack(f"{length}s", file.read(length))
    text: str = raw.rstrip(b"\0").decode(errors="replace")
    return text
