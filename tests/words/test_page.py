"""Real speech into the page, by a real Whisper: what goes wrong meanwhile costs no word."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gateway.engine.whisper.engine import WhisperSpec
from tests.audio.sound import int16, load
from tests.browser import CHROMIUM, Page, browser, write_microphone
from tests.support import TESTS, live_server

if TYPE_CHECKING:
    from tests.words.judge import Judge

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: the page is not tested"),
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

SPEECH = TESTS / "samples" / "jfk.flac"
JFK = (
    "and so my fellow americans ask not what your country can do for you ask what you can do for your country"
)
A_GAP = 0.1
"""Two of its words: where the machine is busy, Chromium's pretended microphone has gaps."""

ROWS = "[...document.querySelectorAll('#captions li')]"
STATUS = "document.getElementById('status').textContent"
SECRET = "the same on all"


@contextmanager
def _listening(
    stack: ExitStack, spec: WhisperSpec, folder: Path, *, times: int = 1, **settings: Any
) -> Iterator[Page]:
    """The page of a server, once it has told something of the speech, which is said so many times."""
    server = stack.enter_context(live_server([spec], session_secret=SECRET, **settings))
    sound = write_microphone(folder / "microphone.wav", int16(np.tile(load(SPEECH), times)))
    with browser(folder, sound) as chromium:
        page = chromium.page()
        page.open(f"{server.url}/")
        page.until("document.querySelector('#server.ready')")
        page.click("#listen")
        page.until(f"{ROWS}.some(row => row.querySelector('p').textContent.length > 5)")
        yield page


def _said(page: Page) -> str:
    return str(page.run(f"{ROWS}.map(row => row.querySelector('p').textContent).join(' ')"))


def _to_the_end(page: Page, *, times: int = 1) -> str:
    """Waits until the last sentence is settled, and stops."""
    settled = f"{ROWS}.filter(row => row.className === 'settled').map(row => row.innerText).join(' ')"
    page.until(f"({settled}.match(/your country/gi) ?? []).length >= {2 * times}")
    page.click("#listen")
    page.until(f"{STATUS}.startsWith('Stopped')")
    return _said(page)


@pytest.fixture
def base(judge: Judge) -> WhisperSpec:
    """The one that the judge hears with."""
    return WhisperSpec(name="base", path=judge.model, cpu_threads=2)


def test_stop_in_mid_sentence(judge: Judge, base: WhisperSpec, tmp_path: Path) -> None:
    """What was told is there, and what was said since; the text is the speech's beginning."""
    with ExitStack() as stack, _listening(stack, base, tmp_path) as page:
        told = _said(page)
        page.click("#listen")
        page.until(f"{STATUS}.startsWith('Stopped')")
        said = judge.normal(_said(page)).split()

    beginning = JFK.split()[: len(said)]
    assert len(said) >= len(judge.normal(told).split())
    assert judge.errors(" ".join(beginning), " ".join(said)).wrong <= 1, said


def test_a_slow_server(judge: Judge, base: WhisperSpec, tmp_path: Path) -> None:
    """The worker stands still for a while; the page says that it is behind, and then has all."""
    with ExitStack() as stack, _listening(stack, base, tmp_path) as page:
        workers = re.findall(r"\d+", " ".join(map(_read, Path("/proc/self/task").glob("*/children"))))
        stopped = [int(pid) for pid in workers if "gateway.engine" in _read(Path("/proc") / pid / "cmdline")]
        assert stopped
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            page.until("/behind/.test(document.body.innerText)")
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        said = _to_the_end(page)

    assert judge.errors(JFK, said).rate <= A_GAP, said


def test_a_restart(judge: Judge, base: WhisperSpec, tmp_path: Path) -> None:
    """The server goes in mid-speech, and another comes."""
    with ExitStack() as later, ExitStack() as first, _listening(first, base, tmp_path) as page:
        port = int(page.run("location.port"))
        first.close()
        page.until("document.querySelector('#lamp.broken')")
        later.enter_context(live_server([base], port=port, session_secret=SECRET))
        said = _to_the_end(page)

    assert judge.errors(JFK, said).rate <= A_GAP, said


def test_the_longest_session(judge: Judge, base: WhisperSpec, tmp_path: Path) -> None:
    """One that ends in mid-speech is followed by another."""
    with ExitStack() as stack, _listening(stack, base, tmp_path, times=2, max_session_seconds=20) as page:
        said = _to_the_end(page, times=2)

    assert judge.errors(f"{JFK} {JFK}", said).rate <= A_GAP, said


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").replace("\0", " ")
    except OSError:
        return ""
