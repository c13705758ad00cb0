"""Checks of compiled packages, in processes of their own: they may die of them."""

import json
import subprocess
import sys
from collections.abc import Iterator

from gateway.engine.devices.cuda import Finding
from gateway.settings import Settings

CHILD_SECONDS = 20.0

_IMPORTS = """
import importlib, importlib.metadata, json, sys
for module in sys.argv[1:]:
    try:
        importlib.import_module(module)
        error = None
    except BaseException as caught:
        error = f"{type(caught).__name__}: {caught}"
    try:
        version = importlib.metadata.version(module.replace("_", "-"))
    except importlib.metadata.PackageNotFoundError:
        version = None
    print(json.dumps([module, version, error]), flush=True)
"""

_NATIVE = ("av", "onnxruntime", "ctranslate2", "faster_whisper", "pocketsphinx")
"""With compiled parts, which can be broken in more ways than by being absent."""

_DECODERS = """
import av, json
print(json.dumps([av.__version__, sorted(av.codecs_available), sorted(av.formats_available)]))
"""

_CODECS = {"flac", "mp3", "aac", "opus", "vorbis", "pcm_s16le"}
_FORMATS = {"flac", "mp3", "mp4", "ogg", "wav", "webm", "matroska"}


def check_packages(_: Settings) -> Iterator[Finding]:
    """Whether they can be loaded."""
    done = _run(_IMPORTS, *_NATIVE)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    whole = [f"{module} {version}" for module, version, error in answers if error is None]
    if whole:
        yield Finding("ok", ", ".join(whole))
    for module, version, error in answers:
        if error is not None:
            what = f"{module} {version or ''}".strip()
            yield Finding("problem", f"{what} cannot be loaded: {error}", "Install again: pip install .")
    if len(answers) < len(_NATIVE):
        module = _NATIVE[len(answers)]
        yield Finding(
            "problem",
            f"loading {module} ends the process (exit status {done.returncode})",
            f"Install it again: pip install --force-reinstall {module.replace('_', '-')}",
        )


def check_decoders(_: Settings) -> Iterator[Finding]:
    """Whether FFmpeg, as PyAV brings it, knows the promised formats."""
    done = _run(_DECODERS)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        yield Finding("problem", f"PyAV does not work: {said}", "pip install --force-reinstall av")
        return
    version, codecs, formats = json.loads(done.stdout)
    missing = sorted(
        (_CODECS - set(codecs)) | (_FORMATS - {part for name in formats for part in name.split(",")})
    )
    if missing:
        yield Finding(
            "problem",
            f"PyAV {version} lacks {', '.join(missing)}",
            "Take the wheel, which carries FFmpeg: pip install --force-reinstall --only-binary av av",
        )
    else:
        yield Finding(
            "ok", f"PyAV {version} decodes {', '.join(sorted(_CODECS))} and {len(codecs) - len(_CODECS)} more"
        )


def _run(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-P", "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=CHILD_SECONDS,
    )
