"""The page with live captions, in a real browser whose microphone plays a recording."""

import itertools
import json
import shutil
import subprocess
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from gateway.engine.whisper.engine import WhisperSpec
from tests.audio.sound import int16, load
from tests.support import LiveServer, Sample, live_server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: the page /live is not tested"),
    pytest.mark.slow,
]


class Page:
    """One tab, spoken to in Chromium's own protocol."""

    def __init__(self, socket: Connection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._session: dict[str, str] = {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """What the browser answers."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params, **self._session}))
        while (answer := json.loads(self._socket.recv(timeout=120))).get("id") != number:
            pass
        result: dict[str, Any] = answer["result"]
        return result

    def run(self, script: str) -> Any:
        """The value of an expression; a promise is awaited."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)

        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, condition: str) -> None:
        """Returns when the expression has become true."""
        self.run(f"new Promise(done => {{ const id = setInterval(() => {{ if ({condition}) {{ "
                 "clearInterval(id); done(); } }, 20) })")  # fmt: skip

    def open(self, url: str) -> None:
        """Loads it."""
        self.call("Page.navigate", url=url)
        self.until(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")


def recording(sample: Sample, folder: Path) -> Path:
    """What the microphone hears: the sample between two silences, for the browser begins anew at its end."""
    file = folder / "microphone.wav"
    speech, silence = int16(load(sample.path)), np.zeros(16_000, np.int16)
    with wave.open(str(file), "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
        out.writeframes(np.concatenate([silence, speech, silence, silence, silence]).tobytes())
    return file


@contextmanager
def browser(microphone: Path, folder: Path) -> Iterator[Page]:
    """A tab of a browser of its own."""
    process = subprocess.Popen(
        [
            str(CHROMIUM),
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
            *("--remote-debugging-port=0", f"--user-data-dir={folder / 'profile'}"),
            *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
            *(f"--use-file-for-fake-audio-capture={microphone}%noloop", "about:blank"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        url = next(line.split()[-1] for line in process.stderr if line.startswith("DevTools listening"))
        with connect(url, max_size=None) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def listening(server: LiveServer, sample: Sample, folder: Path, **fields: str) -> Iterator[Page]:
    """The page, filled in and started."""
    with browser(recording(sample, folder), folder) as page:
        page.open(f"{server.url}/live")
        for name, value in fields.items():
            page.run(f"document.querySelector('[name={name}], #{name}').value = {json.dumps(value)}")
        page.run("document.getElementById('listen').click()")
        yield page


CAPTIONS = "[...document.querySelectorAll('#list li')]"
STATUS = "document.getElementById('status').textContent"


def test_captions(server: LiveServer, samples: dict[str, Sample], tmp_path: Path) -> None:
    """What is said appears while it is said, and settles as the recording's text; then it stops."""
    with listening(server, samples["en_numbers"], tmp_path) as page:
        page.until(f"{CAPTIONS}.some(item => item.className === 'heard' && item.innerText.length > 10)")
        page.until(f"{CAPTIONS}.some(item => item.className === 'settled')")
        page.run("document.getElementById('listen').click()")
        page.until(f"{STATUS} === 'Stopped.'")
        text = page.run(f"{CAPTIONS}.map(item => item.querySelector('p').textContent).join(' ')")

        # Where the machine is busy, Chromium's pretended microphone has gaps, and a word may suffer.
        assert SequenceMatcher(None, text.split(), samples["en_numbers"].text.split()).ratio() > 0.7
        assert page.run("document.getElementById('listen').textContent") == "Start listening"


def test_stop_in_mid_sentence(server: LiveServer, samples: dict[str, Sample], tmp_path: Path) -> None:
    """What was said until the button is not lost, in the mode without turns."""
    with listening(server, samples["en_numbers"], tmp_path, model="gpt-live-transcribe") as page:
        page.until(f"{CAPTIONS}.some(item => item.innerText.length > 20)")
        heard = page.run(f"{CAPTIONS}[0].querySelector('p').textContent")
        page.run("document.getElementById('listen').click()")
        page.until(f"{STATUS} === 'Stopped.'")
        captions = page.run(f"{CAPTIONS}.map(item => [item.className, item.querySelector('p').textContent])")

        assert [name for name, _ in captions] == ["settled"]
        assert len(captions[0][1]) >= len(heard) // 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"model": "nope"}, "'nope' does not exist"), ({"key": "wrong"}, "Incorrect API key")],
)
def test_refusals(
    mini_whisper: WhisperSpec,
    samples: dict[str, Sample],
    tmp_path: Path,
    fields: dict[str, str],
    message: str,
) -> None:
    """What is wrong stands on the page, and one can try again."""
    with (
        live_server([mini_whisper], api_keys=("secret",)) as server,
        listening(server, samples["en_hello"], tmp_path, **{"key": "secret", **fields}) as page,
    ):
        page.until("document.querySelector('#status.bad')")

        assert message in page.run(STATUS)
        assert page.run("document.getElementById('listen').disabled") is False
        page.run("document.querySelector('[name=model]').value = 'whisper-1'")
        page.run("document.getElementById('key').value = 'secret'")
        page.run("document.getElementById('listen').click()")
        page.until(f"{STATUS} === 'Listening…'")
