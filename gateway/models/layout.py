"""What makes a folder a CTranslate2 Whisper, and what it lacks where it is none."""

import json
import struct
from pathlib import Path
from typing import BinaryIO, Literal

_KNOWN_LAYOUTS = range(4, 7)
"""Versions of CTranslate2's model.bin with the same layout (`src/models/model.cc`, `Model::load`)."""

_KINDS: dict[str, type] = {
    "config.json": dict,
    "preprocessor_config.json": dict,
    "tokenizer.json": dict,
    "vocabulary.json": list,
}
"""What the worker's readers take for granted, and would stumble over."""


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
            content = json.loads(path.read_bytes())
        except ValueError:
            return f"{path.name} is broken off or no JSON"
        except RecursionError:
            # The worker's own reader would follow it until its stack ends.
            return f"{path.name} is nested too deeply"
        wanted = _KINDS.get(path.name)
        if wanted is not None and not isinstance(content, wanted):
            return f"{path.name} holds no {'object' if wanted is dict else 'list'}"
    with (folder / "model.bin").open("rb") as file:
        return _model_fault(file)


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
