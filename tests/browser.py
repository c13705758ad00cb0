"""Headless Chromium for tests, spoken to in its own protocol; its microphone plays a recording."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import time
import wave
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from websockets.sync.client import connect
from websockets.sync.connection import Connection

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

ANSWER_SECONDS = 120.0


class Page:
    """One tab.

    Attributes:
        complaints: What the tab wrote to its console as a warning or an error, exceptions among it.
    """

    def __init__(self, socket: Connection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._session: dict[str, str] = {}
        self.complaints: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Runtime", "Page", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """What the browser answers."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params, **self._session}))
        while (answer := json.loads(self._socket.recv(timeout=ANSWER_SECONDS))).get("id") != number:
            self._listen(answer)
        assert "error" not in answer, (method, answer)
        result: dict[str, Any] = answer["result"]
        return result

    def _listen(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                self.complaints.append(details.get("exception", {}).get("description") or details["text"])
            case "Log.entryAdded" if params["entry"]["level"] in ("warning", "error"):
                self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    def run(self, script: str) -> Any:
        """The value of an expression; a promise is awaited."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, (script, answer)
        return answer["result"].get("value")

    def until(self, condition: str) -> None:
        """Returns when the expression has become true.

        Raises:
            TimeoutError: It does not; what the page shows is in the message.
        """
        deadline = time.monotonic() + ANSWER_SECONDS
        # Asked from here, not by a promise of the page: that one would be gone after a reload.
        while not self.run(f"Boolean({condition})"):
            if time.monotonic() > deadline:
                shown = self.run("document.body.innerText")
                raise TimeoutError(f"{condition}\n{self.complaints}\n{shown}")
            self.run("new Promise(done => setTimeout(done, 30))")

    def open(self, url: str) -> None:
        """Loads it."""
        self.call("Page.navigate", url=url)
        self.until(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    def text(self, selector: str) -> str:
        """What an element shows."""
        return str(self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    def click(self, selector: str) -> None:
        """Presses it as a finger would: where it is, if nothing lies over it."""
        self.run(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'nearest'}})")
        where = self.run(
            "(e => { const r = e.getBoundingClientRect();"
            "const [x, y] = [r.x + r.width / 2, r.y + r.height / 2];"
            "const top = document.elementFromPoint(x, y);"
            f"return {{ x, y, hit: e.contains(top) }} }})(document.querySelector({json.dumps(selector)}))"
        )
        assert where["hit"], f"{selector} cannot be pressed where it is"
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=where["x"], y=where["y"], button="left", clickCount=1
            )

    def choose(self, selector: str, value: str | bool) -> None:  # noqa: FBT001 - a checkbox has no other value
        """Sets a field and tells the page, as a person's choice would."""
        name = "checked" if isinstance(value, bool) else "value"
        self.run(
            f"(e => {{ e.{name} = {json.dumps(value)}; for (const kind of ['input', 'change'])"
            "e.dispatchEvent(new Event(kind, {bubbles: true})) })"
            f"(document.querySelector({json.dumps(selector)}))"
        )

    def files(self, selector: str, paths: Sequence[Path]) -> None:
        """Chooses files in a file field."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def look(self, *, width: int = 1280, height: int = 800, dark: bool = False, scale: float = 1) -> None:
        """What the tab's window is like."""
        mobile = width < 600
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=mobile,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Saves what is seen, or the ``whole`` page, as PNG."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """Closes the tab."""
        self.call("Page.close")


class Browser:
    """A browser of its own, with as many tabs as are opened."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self._url = url
        self._stack = stack

    def page(self) -> Page:
        """A new tab, with a connection of its own."""
        return Page(self._stack.enter_context(connect(self._url, max_size=None)))


@contextmanager
def browser(folder: Path, microphone: Path | None = None) -> Iterator[Browser]:
    """Starts one; its microphone plays the file once, from when a page opens it."""
    sound = [f"--use-file-for-fake-audio-capture={microphone}%noloop"] if microphone else []
    profile = folder / "profile"
    shutil.rmtree(profile, ignore_errors=True)
    process = subprocess.Popen(
        [
            str(CHROMIUM),
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
            *(
                "--remote-debugging-port=0",
                f"--user-data-dir={profile}",
                "--autoplay-policy=no-user-gesture-required",
            ),
            *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", *sound, "about:blank"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "LANG": "en_US.UTF-8"},
    )
    try:
        assert process.stderr is not None
        url = next(line.split()[-1] for line in process.stderr if line.startswith("DevTools listening"))
        with ExitStack() as stack:
            yield Browser(url, stack)
    finally:
        process.terminate()
        process.communicate()


def write_microphone(path: Path, speech: npt.NDArray[np.int16], *, rate: int = 16_000) -> Path:
    """What a microphone hears: speech between two silences, for the browser begins anew at its end."""
    silence = np.zeros(rate, np.int16)
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes(np.concatenate([silence, speech, silence, silence, silence]).tobytes())
    return path
