"""Checks of what transcribes: device, models and hub, VAD, memory."""

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from gateway.audio.silero import find_model
from gateway.cli.checks_machine import gigabytes
from gateway.engine.devices.cuda import Finding, ask, findings, seems_present, usable
from gateway.engine.devices.placement import parse_devices
from gateway.engine.upstream.address import is_upstream
from gateway.engine.whisper.engine import WhisperOptions, WhisperSpec
from gateway.errors import DeviceUnavailableError, StoreError
from gateway.models import wheels
from gateway.models.hub import WHISPER_REPOS, Hub
from gateway.models.index import Index
from gateway.models.layout import fault
from gateway.models.locate import cached_default
from gateway.models.speakers import weights
from gateway.models.store import CachedModel, cached_models, repo_of
from gateway.settings import Settings


def check_device(settings: Settings) -> Iterator[Finding]:
    """Which one is used, and why not the GPU."""
    devices = parse_devices(settings.devices)
    is_asked_for = settings.device == "cuda" or any(index is not None for index in devices)
    if settings.device == "cpu" or (devices and not is_asked_for):
        yield Finding("ok", "the CPU, as was asked for")
        return
    if not is_asked_for and not seems_present():
        yield Finding("ok", "the CPU: there is no sign of an NVIDIA GPU")
        return
    probe = ask()
    found = findings(probe)
    for finding in found:
        if finding.level == "problem" and not is_asked_for:
            yield Finding("warning", f"{finding.text}; so the CPU is used", finding.remedy)
        else:
            yield finding
    if all(finding.level != "problem" for finding in found):
        gpus = usable(probe, [index for index in devices if index is not None] or [0], settings.compute_type)
        if len(gpus) < len(probe.gpus):
            yield Finding(
                "ok",
                f"{len(gpus)} of {len(probe.gpus)} GPUs is used",
                "For more, set GATEWAY_DEVICES=" + ",".join(f"cuda:{gpu.index}" for gpu in probe.gpus),
            )


def check_models(settings: Settings) -> Iterator[Finding]:
    """What is in the cache, which sources answer, and whether what was asked for can be served."""
    hub, index = Hub(), Index()
    with ThreadPoolExecutor() as asking:
        answers: dict[str, Future[str | None]] = {
            "hub": asking.submit(hub.reach),
            wheels.NAME: asking.submit(lambda: index.check(WHISPER_REPOS["base"])),
        }
    cached = {model.repo: model for model in cached_models(hub)}
    size = gigabytes(sum(model.size for model in cached.values()))
    yield Finding("ok", f"{len(cached)} model(s), {size}, in the cache {hub.cache}")
    for model in cached.values():
        if model.fault:
            yield Finding(
                "warning", f"{model.name} is broken: {model.fault}", f"gateway models pull {model.name}"
            )
        else:
            yield Finding("ok", f"{model.name} is whole ({gigabytes(model.size)})")
    answering = set[str]()
    for source, answer in answers.items():
        if error := answer.exception():
            yield Finding("warning", str(error))
        else:
            answering.add(source)
            yield Finding("ok", f"{answer.result() or source} answers")
    local = [name for name in settings.model if not is_upstream(name)]
    for name in local:
        carried = _repo(name) in index.carried
        yield _named(name, cached, is_away=not answering & ({"hub", wheels.NAME} if carried else {"hub"}))
    if not settings.model and not settings.models:
        yield _unnamed(settings, hub, is_away=not answering)


def check_speakers(settings: Settings) -> Iterator[Finding]:
    """Whether what tells speakers apart is at hand."""
    hub = Hub()
    folder = weights.cached(hub) if settings.speakers == "auto" else Path(settings.speakers).expanduser()
    if absent := weights.not_installed():
        yield Finding("ok", f"not told apart: {absent}")
    elif not folder.is_dir():
        where = "at first use" if settings.speakers == "auto" else f"from {settings.speakers}, at first use"
        yield Finding("ok", f"not at hand: fetched {where}", f"gateway models pull {weights.NAME}")
    elif trouble := weights.fault(folder):
        yield Finding("warning", f"broken: {trouble} ({folder})", f"gateway models pull {weights.NAME}")
    else:
        yield Finding("ok", f"whole ({folder})")


def check_vad(_: Settings) -> Iterator[Finding]:
    """Which file of Silero's."""
    path = find_model()
    yield Finding("ok", "/".join(path.parts[-3:]))


def check_memory(settings: Settings) -> Iterator[Finding]:
    """What there is against what the models need."""
    total, available = read_memory(Path("/proc/meminfo"), Path("/sys/fs/cgroup"))
    needed = _local_bytes(settings) * settings.workers * max(1, len(settings.devices))
    text = f"{gigabytes(available)} of {gigabytes(total)} free"
    if needed:
        text += f"; the models need roughly {gigabytes(needed)}"
    if needed > available:
        yield Finding("problem", text, "Take a smaller model, fewer workers, or GATEWAY_COMPUTE_TYPE=int8")
    elif needed * 1.2 > available:
        yield Finding("warning", text, "That is tight: take a smaller model or fewer workers")
    else:
        yield Finding("ok", text)


def read_memory(meminfo: Path, cgroup: Path) -> tuple[int, int]:
    """Bytes of memory, all and available, within the limit of the container if it has one."""
    lines = dict(re.findall(r"^(\w+):\s+(\d+) kB$", meminfo.read_text(), re.MULTILINE))
    total, available = (int(lines[name]) * 1024 for name in ("MemTotal", "MemAvailable"))
    for limit_file, used_file in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with suppress(OSError, ValueError):  # no control groups of this version, or "max"
            limit = int((cgroup / limit_file).read_text())
            used = int((cgroup / used_file).read_text())
            total, available = min(total, limit), min(available, max(0, limit - used))
    return total, available


def _local_bytes(settings: Settings) -> int:
    """What a worker of each served Whisper at hand takes, with the express worker where there will be one."""
    # Not at the top: this loads PyAV, which may be what is broken.
    from gateway.runtime.whisper import fitting  # noqa: PLC0415

    hub, options = Hub(), _options(settings)
    if not settings.model:
        found = cached_default(hub, on_gpu=options.device == "cuda")
        folders: list[Path | None] = [found.fetch()] if found else []
    else:
        cached = {model.repo: model.folder for model in cached_models(hub) if not model.fault}
        named = [name for name in settings.model if not is_upstream(name)]
        folders = [_folder(name) or cached.get(_repo(name) or "") for name in named]
    specs = [
        fitting(WhisperSpec("", folder, **asdict(options)), settings, models=len(folders))
        for folder in folders
        if folder is not None and fault(folder) is None
    ]
    return sum(spec.workers * spec.memory_bytes for spec in specs)


def _named(name: str, cached: dict[str, CachedModel], *, is_away: bool) -> Finding:
    """How it stands with a model that was asked for."""
    if folder := _folder(name):
        trouble = fault(folder)
        if trouble:
            return Finding(
                "problem", f"{name} is no CTranslate2 Whisper model: {trouble}", "Name another folder"
            )
        return Finding("ok", f"{name} is served")
    repo = _repo(name)
    if repo is None:
        return Finding(
            "problem", f"'{name}' is neither a folder nor a model's name", "See: gateway models list"
        )
    if repo in cached and not cached[repo].fault:
        return Finding("ok", f"{name} is served")
    if is_away:
        return Finding("problem", f"{name} is not (or not wholly) here, and cannot be fetched", "See above")
    return Finding(
        "warning", f"{name} is fetched when the server starts", f"Beforehand: gateway models pull {name}"
    )


def _unnamed(settings: Settings, hub: Hub, *, is_away: bool) -> Finding:
    found = cached_default(hub, on_gpu=_options(settings).device == "cuda")
    if found is not None:
        return Finding("ok", f"{found.name} is served, as none was named")
    if is_away:
        return Finding(
            "problem",
            "no Whisper is at hand, and none can be fetched: the server will not start",
            "gateway models pull base, where a source answers; or name a folder: --model ./folder",
        )
    return Finding(
        "warning", "no Whisper is at hand: one is fetched at the start", "gateway models pull base"
    )


def _options(settings: Settings) -> WhisperOptions:
    from gateway.runtime.whisper import whisper_options  # noqa: PLC0415 - as above

    try:
        return whisper_options(settings)
    except DeviceUnavailableError:  # said by the check of the device
        return WhisperOptions()


def _folder(name: str) -> Path | None:
    """As `resolve` takes it: a known name beats a folder called so."""
    folder = Path(name).expanduser()
    return folder if name and name not in WHISPER_REPOS and folder.is_dir() else None


def _repo(name: str) -> str | None:
    try:
        return repo_of(name)
    except StoreError:
        return None
