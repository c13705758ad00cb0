"""What `gateway doctor` looks at. Each check is guarded and has its time, whatever is broken."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TypeAlias

from gateway.engine.devices.cuda import Finding
from gateway.settings import Settings

SECONDS = 30.0
"""For all checks together. The slowest, a driver that has to wake up, has 20."""

Look: TypeAlias = Callable[[Settings], Iterable[Finding]]

MODULES = {
    "python": "machine",
    "packages": "packages",
    "device": "engine",
    "models": "engine",
    "vad": "engine",
    "decoders": "packages",
    "port": "machine",
    "processor": "machine",
    "memory": "machine",
    "disk": "machine",
    "descriptors": "machine",
}
"""Where the checks are. Each imports its module itself: a package that cannot be loaded is its finding."""


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the report."""

    check: str
    finding: Finding


def examine(
    settings: Settings, checks: dict[str, Look] | None = None, *, seconds: float = SECONDS
) -> Iterator[Result]:
    """Runs all checks at the same time and yields their findings in order."""
    checks = checks or {name: _importing(name, module) for name, module in MODULES.items()}
    outcomes: queue.SimpleQueue[tuple[str, list[Finding]]] = queue.SimpleQueue()
    for name, look in checks.items():
        # Daemons: one that hangs, on a dead network disk for one, must not keep the process.
        threading.Thread(
            target=lambda name=name, look=look: outcomes.put((name, _guarded(look, settings))), daemon=True
        ).start()
    found: dict[str, list[Finding]] = {}
    deadline = time.monotonic() + seconds
    try:
        for _ in checks:
            name, findings = outcomes.get(timeout=max(0.0, deadline - time.monotonic()))
            found[name] = findings
    except queue.Empty:
        pass
    unanswered = [Finding("problem", f"no answer within {seconds:g} s")]
    for name in checks:
        for finding in found.get(name, unanswered):
            yield Result(name, finding)


def _importing(name: str, module: str) -> Look:
    def look(settings: Settings) -> Iterable[Finding]:
        found: Iterable[Finding] = getattr(import_module(f"gateway.cli.checks_{module}"), f"check_{name}")(
            settings
        )
        return found

    return look


def _guarded(look: Look, settings: Settings) -> list[Finding]:
    findings = []
    try:
        for finding in look(settings):
            findings.append(finding)  # noqa: PERF402 - what was found before an error counts
    except Exception as error:  # noqa: BLE001 - whatever is broken here is what the operator wants to know
        findings.append(Finding("problem", f"cannot be checked: {type(error).__name__}: {error}"))
    return findings
