"""Handles are kept back, lent where there are none, and taken back when there are some again."""

import errno
import logging
import os

import pytest

from gateway.handles import LENT_SECONDS, QUIET_SECONDS, Reserve, is_lack


def test_lent_and_taken_back(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever needs some has a few seconds; the log says it once a minute."""
    now = 0.0
    reserve = Reserve(3, lambda: now)
    reserve.fill()
    with caplog.at_level(logging.ERROR):
        reserve.lend()
        reserve.fill()
        assert reserve.held == 0
        now = LENT_SECONDS
        reserve.fill()
        assert reserve.held == 3
        reserve.lend()
        assert len(caplog.records) == 1
        now = QUIET_SECONDS
        reserve.lend()

    assert len(caplog.records) == 2
    assert reserve.held == 0


def test_it_takes_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing fails where there are no handles."""

    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    reserve = Reserve(3)
    monkeypatch.setattr(os, "open", refuse)
    reserve.fill()

    assert reserve.held == 0


@pytest.mark.parametrize(
    ("error", "lack"),
    [
        (OSError(errno.EMFILE, ""), True),
        (OSError(errno.ENFILE, ""), True),
        (OSError(1, ""), False),
        (None, False),
    ],
)
def test_what_is_a_lack(error: object, *, lack: bool) -> None:
    """Of handles, in this process or in the system."""
    assert is_lack(error) == lack
