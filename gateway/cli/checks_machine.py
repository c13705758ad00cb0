"""Checks of the machine: Python and its packages, processor, disks, descriptors, the port."""

import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gateway import __version__
from gateway.engine.devices.cuda import Finding
from gateway.engine.devices.placement import Machine
from gateway.engine.upstream.address import is_upstream
from gateway.errors import StartError
from gateway.models.hub import Hub
from gateway.server.listening import open_listeners
from gateway.settings import Settings

OLDEST = (3, 11)

FREE_CACHE_BYTES, FREE_SPOOL_BYTES = 5_000_000_000, 1_000_000_000
"""A large model has 3 GB."""

DESCRIPTORS_PER_STREAM, OTHER_DESCRIPTORS = 8, 128
"""A connection, a spool and its readers; workers' pipes, listeners, libraries."""

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

_NATIVE = ("av", "onnxruntime", "ctranslate2", "faster_whisper")
"""With compiled parts, which can be broken in more ways than by being absent."""

_DECODERS = """
import av, json
print(json.dumps([av.__version__, sorted(av.codecs_available), sorted(av.formats_available)]))
"""

_CODECS = {"flac", "mp3", "aac", "opus", "vorbis", "pcm_s16le"}
_FORMATS = {"flac", "mp3", "mp4", "ogg", "wav", "webm", "matroska"}


def check_python(_: Settings) -> Iterator[Finding]:
    """Its version, and ours."""
    version = platform.python_version()
    if sys.version_info < OLDEST:
        yield Finding("problem", f"Python {version} is too old", "Install Python 3.11 or newer")
        return
    yield Finding("ok", f"gateway {__version__}, Python {version} on {platform.platform()}")


def check_processor(settings: Settings) -> Iterator[Finding]:
    """Cores, threads, vector instructions."""
    machine = Machine.here()
    sources = [*settings.model, *(model.source for model in settings.models)]
    # What others serve takes no core here.
    own = sum(not is_upstream(source) for source in sources)
    workers = settings.workers * max(1, len(settings.devices)) * max(1, own)
    threads = machine.threads(settings.cpu_threads, workers)
    lanes = machine.lanes(settings.lanes, wanted_threads=settings.cpu_threads, workers=workers)
    cores = (
        f"{machine.core_count} cores for {workers} worker(s) of {threads} thread(s); "
        f"on the CPU {lanes.count} lane(s) of {lanes.threads}"
    )
    if machine.quota is not None and machine.quota < len(machine.cores):
        cores += f", as the container may use {machine.quota:g} of {len(machine.cores)}"
    if threads * workers > machine.core_count:
        remedy = "Lower GATEWAY_WORKERS or GATEWAY_CPU_THREADS: workers that share cores slow each other down"
        yield Finding("warning", cores, remedy)
    else:
        yield Finding("ok", cores)
    flags = re.search(r"^flags\s*:(.*)$", _read("/proc/cpuinfo"), re.MULTILINE)
    if flags is None:
        yield Finding("ok", platform.machine())
        return
    known = [
        flag for flag in ("avx", "avx2", "avx512f", "avx512_vnni", "amx_int8") if flag in flags[1].split()
    ]
    if "avx2" in known:
        yield Finding("ok", f"{platform.machine()} with {', '.join(known)}")
    else:
        yield Finding(
            "warning",
            f"{platform.machine()} without AVX2: Whisper will be slow",
            "Take a small model; on a virtual machine, pass the host's CPU type through",
        )


def check_disk(_: Settings) -> Iterator[Finding]:
    """Room for models and for uploads."""
    for what, folder, wanted, variable in (
        ("model cache", Hub().cache, FREE_CACHE_BYTES, "HF_HOME"),
        ("uploads", Path(tempfile.gettempdir()), FREE_SPOOL_BYTES, "TMPDIR"),
    ):
        # The folder itself may have to be made yet.
        present = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(present).free
        text = f"{gigabytes(free)} free for {what} in {folder}"
        if not os.access(present, os.W_OK | os.X_OK) or not present.is_dir():
            yield Finding("problem", f"{folder} cannot be written to", f"Mend its rights, or set {variable}")
        elif free < wanted:
            yield Finding("warning", text, f"Make room, or point {variable} to another disk")
        else:
            yield Finding("ok", text)


def check_descriptors(settings: Settings) -> Iterator[Finding]:
    """Whether every stream gets its files."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.max_streams * DESCRIPTORS_PER_STREAM + OTHER_DESCRIPTORS
    text = f"{limit} open files are allowed, {settings.max_streams} streams may need {needed}"
    if limit == resource.RLIM_INFINITY or limit >= needed:
        yield Finding("ok", text)
    else:
        hint = (
            "" if most == resource.RLIM_INFINITY or most >= needed else " (as root; LimitNOFILE in systemd)"
        )
        yield Finding("warning", text, f"ulimit -n {needed}{hint}, or lower GATEWAY_MAX_STREAMS")


def check_port(settings: Settings) -> Iterator[Finding]:
    """Whether the server could listen, and who does if it cannot."""
    where = f"{settings.host}:{settings.port}"
    try:
        for listener in open_listeners(settings.host, settings.port):
            listener.close()
    except StartError as error:
        if re.search(r"\bgateway\b.*\bserve\b", str(error)):
            yield Finding("warning", str(error), "A gateway runs there already")
        else:
            yield Finding("problem", str(error), "End that, or set GATEWAY_HOST or GATEWAY_PORT")
        return
    yield Finding("ok", f"{where} is free")


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


def gigabytes(size: int) -> str:
    """Bytes as an operator thinks of them."""
    return f"{size / 1e9:.1f} GB"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _run(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs code in a process of its own, which may die of a compiled package."""
    return subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-P", "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=CHILD_SECONDS,
    )
