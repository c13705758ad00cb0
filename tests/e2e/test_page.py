"""The page at `/`, in a real browser whose microphone plays a recording."""

import json
import shutil
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pytest
import srt
import webvtt

from gateway.engine.whisper.engine import WhisperSpec
from tests.audio.sound import int16, load
from tests.browser import CHROMIUM, Browser, Page, browser, write_microphone
from tests.e2e.wire import wire_to
from tests.support import LiveServer, Sample, live_server

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: the page is not tested"),
    pytest.mark.slow,
]

ROWS = "[...document.querySelectorAll('#captions li')]"
REQUESTS = "performance.getEntriesByType('resource')"
STATUS = "document.getElementById('status').textContent"
WATCH_SOCKETS = """
    window.sockets = []; window.states = [];
    window.WebSocket = class extends WebSocket {
        constructor(url, protocols) {
            super(url, protocols);
            sockets.push(String(url));
            this.addEventListener("message", ({ data }) => {
                const event = JSON.parse(data);
                if (event.type === "session.created") states.push(event.resume.state);
            });
        }
    }; 0
"""


@pytest.fixture
def chromium(samples: dict[str, Sample], tmp_path: Path) -> Iterator[Browser]:
    """A browser whose microphone hears numbers."""
    speech = int16(load(samples["en_numbers"].path))
    with browser(tmp_path, write_microphone(tmp_path / "microphone.wav", speech)) as running:
        yield running


def opened(chromium: Browser, url: str) -> Page:
    """The page, once it knows its server."""
    page = chromium.page()
    page.open(url)
    page.until("document.querySelector('#server.ready')")
    return page


def said(page: Page) -> str:
    """The captions' text."""
    return str(page.run(f"{ROWS}.map(row => row.querySelector('p').textContent).join(' ')"))


def is_like(text: str, sample: Sample) -> bool:
    """Where the machine is busy, Chromium's pretended microphone has gaps, and a word may suffer."""
    return SequenceMatcher(None, text.split(), sample.text.split()).ratio() > 0.7


def test_speak(server: LiveServer, samples: dict[str, Sample], chromium: Browser) -> None:
    """What is said appears while it is said, settles, stays over a second start, and is cleared if asked."""
    page = opened(chromium, f"{server.url}/")
    page.click("#listen")
    page.until(f"{ROWS}.some(row => row.className === 'heard' && row.innerText.length > 10)")
    page.until(f"{ROWS}.some(row => row.className === 'settled')")
    page.click("#listen")
    page.until(f"{STATUS}.startsWith('Stopped')")

    assert is_like(said(page), samples["en_numbers"])
    rows = page.run(f"{ROWS}.length")
    page.click("#listen")
    page.until(f"{STATUS} === 'Listening.'")
    assert page.run(f"{ROWS}.length") >= rows
    page.click("#listen")
    page.until(f"{STATUS}.startsWith('Stopped')")
    page.click("#clear")
    page.click("#clear-dialog button[value='clear']")
    page.until(f"{ROWS}.length === 0")
    assert page.complaints == []


def test_the_button_keeps_the_keyboard(server: LiveServer, chromium: Browser) -> None:
    """Who started with a key stops with the same, though the button waits for the microphone in between."""
    page = opened(chromium, f"{server.url}/")
    page.run("(button => { button.focus(); button.click() })(document.getElementById('listen'))")
    page.until(f"{STATUS} === 'Listening.'")

    assert page.run("document.activeElement.id") == "listen"


@pytest.mark.parametrize(
    ("query", "color", "background"),
    [
        ("color=no&background=no&position=no&align=no", "rgb(255, 255, 255)", "rgb(0, 0, 0)"),
        ("color=url(x)&background=url(x)&position=&align=", "rgb(255, 255, 255)", "rgb(0, 0, 0)"),
        ("color=red&background=transparent", "rgb(255, 0, 0)", "rgba(0, 0, 0, 0)"),
    ],
)
def test_the_look_in_the_url(
    server: LiveServer, chromium: Browser, query: str, color: str, background: str
) -> None:
    """What means nothing there is as if it were not: captions stay legible, and nothing is asked for."""
    page = opened(chromium, f"{server.url}/?view=captions&{query}")
    look = page.run(
        "(({ color, alignItems }) => [color, alignItems])(getComputedStyle(document.getElementById('stage')))"
    )

    assert look == [color, "end"]
    assert page.run("getComputedStyle(document.body).backgroundColor") == background
    assert page.run("getComputedStyle(document.getElementById('lines')).textAlign") == "left"
    assert page.complaints == []


def test_audience(server: LiveServer, samples: dict[str, Sample], chromium: Browser) -> None:
    """A second page with the link reads along; its token opens nothing else."""
    page = opened(chromium, f"{server.url}/")
    page.click("#listen")
    page.until(f"{STATUS} === 'Listening.'")
    page.click("#share")
    page.until("document.getElementById('share-link').value")
    link = page.run("document.getElementById('share-link').value")
    viewer = chromium.page()
    viewer.open(f"{link}&background=transparent")
    viewer.until("document.querySelector('#lines .settled')")
    page.click("#share-dialog button[value='']")
    page.click("#listen")
    page.until(f"{STATUS}.startsWith('Stopped')")
    viewer.until(f"document.getElementById('lines').textContent.length >= {len(said(page)) // 2}")

    lines = "[...document.querySelectorAll('#lines p')].map(line => line.textContent).join(' ')"
    assert is_like(viewer.run(lines), samples["en_numbers"])
    assert viewer.run("getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"


@pytest.mark.parametrize("words", ["heard", "nothing yet"])
def test_server_restarts(
    quick_whisper: WhisperSpec, samples: dict[str, Sample], chromium: Browser, words: str
) -> None:
    """While it is away that is seen; then what was said is there, all of it and once."""
    with live_server([quick_whisper]) as first:
        port = int(first.url.rsplit(":", 1)[1])
        page = opened(chromium, f"{first.url}/")
        page.click("#listen")
        page.until(f"{STATUS} === 'Listening.'")
        if words == "heard":
            page.until(f"{ROWS}.some(row => row.innerText.length > 10)")
    page.until("document.querySelector('#lamp.broken')")
    with live_server([quick_whisper], port=port):
        page.until(f"{STATUS} === 'Listening.'")
        page.until(f"{ROWS}.some(row => row.className === 'settled')")
        page.click("#listen")
        page.until(f"{STATUS}.startsWith('Stopped')")

        assert is_like(said(page), samples["en_numbers"])


def test_a_dropped_connection_is_taken_up(
    server: LiveServer, samples: dict[str, Sample], chromium: Browser
) -> None:
    """The session goes on where it was, by its token: nothing that was told is told otherwise, or twice."""
    with wire_to(server) as wire:
        page = opened(chromium, f"{wire.url}/")
        page.run(WATCH_SOCKETS)
        page.click("#listen")
        page.until(f"{ROWS}.some(row => row.innerText.length > 10)")
        wire.cut()
        page.until("sockets.length === 2")
        page.until(f"{STATUS} === 'Listening.'")
        page.until(f"{ROWS}.some(row => row.className === 'settled')")
        page.click("#listen")
        page.until(f"{STATUS}.startsWith('Stopped')")

        assert is_like(said(page), samples["en_numbers"])
        assert page.run("sockets.map(url => new URL(url).searchParams.has('resume'))") == [False, True]
        assert page.run("states") == ["new", "kept"]


def test_another_process_takes_a_session_up(
    quick_whisper: WhisperSpec, samples: dict[str, Sample], chromium: Browser
) -> None:
    """With the same secret a restarted server goes on behind what was settled, with times and items."""
    with live_server([quick_whisper], session_secret="the same on all") as first:
        port = int(first.url.rsplit(":", 1)[1])
        page = opened(chromium, f"{first.url}/")
        page.run(WATCH_SOCKETS)
        page.click("#listen")
        page.until(f"{ROWS}.some(row => row.innerText.length > 10)")
    with live_server([quick_whisper], port=port, session_secret="the same on all"):
        page.until("states.length === 2")
        page.until(f"{ROWS}.some(row => row.className === 'settled')")
        page.click("#listen")
        page.until(f"{STATUS}.startsWith('Stopped')")

        assert is_like(said(page), samples["en_numbers"])
        assert page.run("states") == ["new", "restarted"]


def test_sessions_go_on_by_themselves(
    quick_whisper: WhisperSpec, samples: dict[str, Sample], chromium: Browser
) -> None:
    """A session that is as long as it may be is followed by another, and nothing is lost or said twice."""
    with live_server([quick_whisper], max_session_seconds=4) as server:
        page = opened(chromium, f"{server.url}/")
        page.click("#listen")
        page.until(f"{ROWS}.some(row => row.className === 'settled')")
        page.until(f"{REQUESTS}.filter(one => one.name.endsWith('client_secrets')).length > 2")
        page.click("#listen")
        page.until(f"{STATUS}.startsWith('Stopped')")

        assert is_like(said(page), samples["en_numbers"])


def test_key(quick_whisper: WhisperSpec, chromium: Browser) -> None:
    """It is asked for when the server wants one, a wrong one is said to be, and the tab alone keeps it."""
    with live_server([quick_whisper], api_keys=("secret",)) as server:
        page = opened(chromium, f"{server.url}/")
        page.click("#listen")
        page.until("document.getElementById('key-dialog').open")
        page.click("#key-later")
        page.until(f"{STATUS} === 'This server wants a key.'")
        page.click("#listen")
        for key in ("wrong", "secret"):
            page.until(
                "document.getElementById('key-dialog').open && document.getElementById('key').value === ''"
            )
            if key == "secret":
                assert "not accepted" in page.text("#key-why")
            page.choose("#key", key)
            if key == "wrong":
                page.run("document.getElementById('key').focus()")
                page.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", text="\r")
            else:
                page.click("#key-dialog button[value='use']")
        page.until(f"{STATUS} === 'Listening.'")

        assert page.run("Object.values(localStorage).join().includes('secret')") is False


def test_file(server: LiveServer, samples: dict[str, Sample], chromium: Browser) -> None:
    """Words with their times; what is saved is what others can parse, with all the words."""
    sample = samples["en_numbers"]
    page = opened(chromium, f"{server.url}/#file")
    page.files("#files", [sample.path, samples["en_hello"].path])
    page.until("document.querySelectorAll('.takes:not([hidden])').length === 2")
    cards = "[...document.querySelectorAll('.recording')]"
    card = f"{cards}.find(card => card.ariaLabel.startsWith('en_numbers'))"

    assert (
        page.run(f"[...{card}.querySelectorAll('.paragraph p')].map(p => p.textContent).join(' ')")
        == sample.text
    )
    taken = {kind: _taken(page, card, kind) for kind in ("txt", "srt", "vtt", "json")}
    cues = list(srt.parse(taken["srt"]))
    assert taken["txt"].split() == sample.text.split()
    assert " ".join(cue.content.replace("\n", " ") for cue in cues) == sample.text
    assert len(webvtt.from_string(taken["vtt"])) == len(cues)
    assert json.loads(taken["json"])["text"] == sample.text
    page.run(f"{card}.querySelector('.word[data-start]').click()")
    page.until(f"{card}.querySelector('audio').currentTime > 0")
    assert page.complaints == []


def test_files_without_sound(
    server: LiveServer, samples: dict[str, Sample], chromium: Browser, tmp_path: Path
) -> None:
    """Each says what is wrong with it in words for a person; the others go on."""
    broken, empty = tmp_path / "broken.mp3", tmp_path / "empty.wav"
    broken.write_bytes(b"no sound")
    empty.touch()
    page = opened(chromium, f"{server.url}/#file")
    page.files("#files", [broken, samples["en_hello"].path, empty])
    page.until("document.querySelectorAll('.recording.failed').length === 2")
    page.until("document.querySelectorAll('.takes:not([hidden])').length === 1")

    texts = page.run("[...document.querySelectorAll('.recording.failed')].map(card => card.innerText)")
    assert any("No sound that can be read is in this file." in text for text in texts)
    assert any("This file is empty." in text and "0 kB" in text for text in texts)


def test_a_folder(server: LiveServer, samples: dict[str, Sample], chromium: Browser, tmp_path: Path) -> None:
    """All that is in it is transcribed, beside what was dropped with it."""
    inner = tmp_path / "recordings" / "of today"
    inner.mkdir(parents=True)
    shutil.copy(samples["en_hello"].path, inner / "one.wav")
    shutil.copy(samples["en_hello"].path, inner.parent / "two.wav")
    page = opened(chromium, f"{server.url}/#file")
    dropped = {
        "items": [],
        "files": [str(inner.parent), str(samples["en_hello"].path)],
        "dragOperationsMask": 1,
    }
    for kind in ("dragEnter", "dragOver", "drop"):
        page.call("Input.dispatchDragEvent", type=kind, x=300, y=300, data=dropped)
    page.until("document.querySelectorAll('.takes:not([hidden])').length === 3")

    names = page.run("[...document.querySelectorAll('.recording')].map(card => card.ariaLabel)")
    assert sorted(names) == sorted(["one.wav", "two.wav", samples["en_hello"].path.name])


def test_leaving_while_it_is_sent(server: LiveServer, samples: dict[str, Sample], chromium: Browser) -> None:
    """The browser asks first, while there is something to lose."""
    leave = "(event => (dispatchEvent(event), event.defaultPrevented))"
    leave += "(new Event('beforeunload', { cancelable: true }))"
    page = opened(chromium, f"{server.url}/#file")
    page.run("XMLHttpRequest.prototype.send = () => 0; 0")
    page.run("XMLHttpRequest.prototype.abort = function () { this.onabort() }; 0")

    assert not page.run(leave)
    page.files("#files", [samples["en_hello"].path])
    page.until("document.querySelector('.recording')")
    assert page.run(leave)
    page.run("document.querySelector('.recording header button').click()")
    page.until("document.querySelector('.recording.failed')")
    assert not page.run(leave)


def _taken(page: Page, card: str, kind: str) -> str:
    """What the page saves."""
    saved = "const make = URL.createObjectURL; URL.createObjectURL = blob => {"
    saved += "URL.createObjectURL = make; blob.text().then(done); return '#' };"
    press = f"{card}.querySelector('[aria-label=\"Save as .{kind}\"]').click()"
    text: Any = page.run(f"new Promise(done => {{ {saved} {press} }})")
    return str(text)


@pytest.mark.parametrize("width", [320, 390])
def test_phone(server: LiveServer, chromium: Browser, width: int) -> None:
    """Nothing lies beside the screen of a phone, nor of a wide screen at four times the size."""
    page = chromium.page()
    page.look(width=width, height=844)
    for view in ("speak", "file", "api"):
        page.open(f"{server.url}/#{view}")
        page.until("document.querySelector('#server.ready')")
        assert page.run("document.documentElement.scrollWidth") <= width, view


@pytest.mark.parametrize("dark", [False, True])
def test_nobody_is_shut_out(server: LiveServer, chromium: Browser, node: Path, dark: bool) -> None:  # noqa: FBT001 - a parameter
    """The audit of axe-core finds nothing serious in any view, light or dark."""
    axe = node / "node_modules" / "axe-core" / "axe.min.js"
    if not axe.is_file():
        pytest.skip("axe-core is not installed: npm install in tests/node")
    page = chromium.page()
    page.look(dark=dark)
    for view in ("#speak", "#file", "#api", "?view=captions", "docs"):
        page.open(f"{server.url}/{view}")
        page.run(f"{axe.read_text('utf-8')};0")
        found = page.run(
            "axe.run().then(found => found.violations.map(one => [one.impact, one.id, one.help]))"
        )
        assert [one for one in found if one[0] in ("serious", "critical")] == [], view
