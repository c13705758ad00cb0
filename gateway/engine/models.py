"""From what the operator named, or did not name, to the spec of an engine that can be loaded."""

import json
import logging
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from gateway.engine.hub import WHISPER_REPOS, Hub, ModelUnavailableError
from gateway.engine.sphinx import SphinxSpec
from gateway.engine.types import EngineSpec
from gateway.engine.whisper import WhisperSpec

_SPHINX_NAMES = ("pocketsphinx", "sphinx")

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

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WhisperOptions:
    """How Whisper models are run.

    Attributes:
        device: ``auto`` is CUDA where CTranslate2 sees a GPU.
        compute_type: ``auto`` is int8 on a CPU and float16 on CUDA.
        cpu_threads: Per worker; 0 leaves the choice to CTranslate2.
        max_batch: 0 is 8 on a CPU and 16 on CUDA.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    device_index: int = 0
    compute_type: str = "auto"
    cpu_threads: int = 0
    max_batch: int = 0
    beam_size: int = 5


def resolve(model: str, options: WhisperOptions, hub: Hub) -> EngineSpec:
    """Finds the one model that the operator named, and fetches it if it must.

    Args:
        model: ``pocketsphinx``, a name of faster-whisper's (``small``), a folder with a CTranslate2 Whisper,
            or a hub id (``org/name``). A known name beats a folder called so; ``./small`` means the folder.

    Raises:
        ModelUnavailableError: It is nowhere, or what is there is broken.
    """
    if model in _SPHINX_NAMES:
        return SphinxSpec()
    if model in WHISPER_REPOS:
        return _from_hub(model, WHISPER_REPOS[model], options, hub)
    folder = Path(model).expanduser()
    if model and folder.is_dir():
        if trouble := fault(folder):
            raise ModelUnavailableError(f"{folder} is no CTranslate2 Whisper model: {trouble}")
        name = folder.name if folder.name not in ("", "..") else folder.resolve().name
        return _spec(name, folder.resolve(), options)
    if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", model):
        return _from_hub(model, model, options, hub)
    raise ModelUnavailableError(
        f"Model '{model}' is neither a folder nor a hub id (org/name) nor a known name: "
        f"{', '.join([*_SPHINX_NAMES[:1], *WHISPER_REPOS])}"
    )


def default_spec(options: WhisperOptions, hub: Hub) -> EngineSpec:
    """Chooses a model where none was named: a cached Whisper, else a fetched one, else PocketSphinx, loudly.

    Raises:
        ModelUnavailableError: The device that was asked for is not there.
    """
    on_gpu = _device(options) == "cuda"
    for name in _BY_QUALITY if on_gpu else _BY_PACE:
        if folder := _cached(WHISPER_REPOS[name], hub):
            return _spec(name, folder, options)
    name = "large-v3-turbo" if on_gpu else "base"
    try:
        return _from_hub(name, WHISPER_REPOS[name], options, hub)
    except ModelUnavailableError as error:
        _logger.warning(
            "NO WHISPER MODEL: serving PocketSphinx, which knows English only and makes many mistakes. "
            "To get Whisper: 'gateway serve --model small' where the hub answers, or '--model ./folder' "
            "with a CTranslate2 Whisper. Why: %s",
            error,
        )
        return SphinxSpec()


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


def _from_hub(name: str, repo: str, options: WhisperOptions, hub: Hub) -> WhisperSpec:
    folder = _cached(repo, hub)
    if folder is None:
        folder = hub.download(repo)
        if trouble := fault(folder):
            raise ModelUnavailableError(f"{repo} is no CTranslate2 Whisper model: {trouble} ({folder})")
    return _spec(name, folder, options)


def _cached(repo: str, hub: Hub) -> Path | None:
    """A whole snapshot. The hub is not asked for a newer one: a restart must not change the model."""
    return next((folder for folder in hub.snapshots(repo) if fault(folder) is None), None)


def _spec(name: str, folder: Path, options: WhisperOptions) -> WhisperSpec:
    device = _device(options)
    compute_type = options.compute_type
    if compute_type == "auto":
        compute_type = _cuda_compute_type(options.device_index) if device == "cuda" else "int8"
    return WhisperSpec(
        name=name,
        path=folder,
        device=device,
        device_index=options.device_index,
        compute_type=compute_type,
        cpu_threads=options.cpu_threads,
        max_batch=options.max_batch or (16 if device == "cuda" else 8),
        beam_size=options.beam_size,
    )


def _device(options: WhisperOptions) -> Literal["cpu", "cuda"]:
    if options.device == "cpu":
        return "cpu"
    # 0.2 s. Trap: this starts CUDA in the parent, so workers must be spawned, not forked.
    import ctranslate2  # noqa: PLC0415  # only where the answer depends on it

    count = ctranslate2.get_cuda_device_count()
    if options.device == "auto" and not count:
        return "cpu"
    if options.device_index >= count:
        raise ModelUnavailableError(
            f"CUDA device {options.device_index} was asked for, but CTranslate2 sees {count} of them"
        )
    return "cuda"


def _cuda_compute_type(device_index: int) -> str:
    """Half precision, but on GPUs older than 2017, where CTranslate2 refuses it and chooses better itself."""
    import ctranslate2  # noqa: PLC0415  # loaded already, by `_device`

    supported = ctranslate2.get_supported_compute_types("cuda", device_index)
    return "float16" if "float16" in supported else "auto"


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
