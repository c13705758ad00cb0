"""Checks that raise or hang cost their own line and nothing else."""

import threading
from collections.abc import Iterator

from gateway.cli.checks import Result, examine
from gateway.engine.devices.cuda import Finding
from gateway.settings import Settings

_FINE = Finding("ok", "fine")


def _fine(_: Settings) -> list[Finding]:
    return [_FINE]


def test_a_check_that_raises() -> None:
    """What it had found before counts, the error is told, the others run."""

    def breaks(_: Settings) -> Iterator[Finding]:
        yield _FINE
        raise OSError("no such disk")

    results = list(examine(Settings(), {"breaks": breaks, "whole": _fine}))

    assert results == [
        Result("breaks", _FINE),
        Result("breaks", Finding("problem", "cannot be checked: OSError: no such disk")),
        Result("whole", _FINE),
    ]


def test_a_check_that_hangs() -> None:
    """The report comes without it, in the order of the checks."""
    enough = threading.Event()

    def hangs(_: Settings) -> list[Finding]:
        enough.wait()
        return [_FINE]

    results = list(examine(Settings(), {"hangs": hangs, "whole": _fine}, seconds=0.1))
    enough.set()

    assert results == [
        Result("hangs", Finding("problem", "no answer within 0.1 s")),
        Result("whole", _FINE),
    ]
