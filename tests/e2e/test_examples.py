"""Each example does what it says, in Python, Node and a browser; the longer ones have tests of their own."""

import asyncio
import functools
import http.server
import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import AsyncOpenAI

from gateway.engine.whisper.engine import WhisperSpec
from tests.audio.sound import int16, load
from tests.browser import CHROMIUM, browser, write_microphone
from tests.e2e.speaker import speech
from tests.support import TESTS, LiveServer, Sample, live_server

EXAMPLES = TESTS.parent / "client_examples"
NATO = "Alpha zulu november six. Quebec tango kilo nine."
TURNS = ["Alpha zulu november six.", "Quebec tango kilo nine."]

pytestmark = pytest.mark.slow

in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: pages are not tested")


def _run(*command: str, sound: bytes = b"", status: int = 0) -> list[str]:
    done = subprocess.run(command, input=sound, capture_output=True, timeout=200, check=False)
    assert done.returncode == status, done.stderr.decode()
    return done.stdout.decode().splitlines()


def _python(name: str, *arguments: str, sound: bytes = b"", status: int = 0) -> list[str]:
    return _run(sys.executable, str(EXAMPLES / name), *arguments, sound=sound, status=status)


@pytest.mark.parametrize(
    "path", [path for path in EXAMPLES.iterdir() if path.is_file()], ids=lambda path: path.name
)
def test_short_and_listed(path: Path) -> None:
    """Each fits on a page, and the index knows it."""
    text = path.read_text("utf-8")

    assert path.name == "README.md" or text.count("\n") < 60
    assert path.name == "README.md" or path.name in (EXAMPLES / "README.md").read_text("utf-8")


@pytest.mark.parametrize("path", [*EXAMPLES.glob("*.[pms][yjh]*")], ids=lambda path: path.name)
def test_each_takes_a_key(path: Path) -> None:
    """A server with keys needs no change of the file, but the variable that OpenAI's clients read."""
    assert "OPENAI_API_KEY" in path.read_text("utf-8")


def test_a_key(
    quick_whisper: WhisperSpec, samples: dict[str, Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It opens a server that wants one, by HTTP and by WebSocket."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-example")
    file = str(samples["en_nato_8k"].path)
    with live_server([quick_whisper], api_keys=("sk-of-the-example",)) as server:
        assert NATO in _run("bash", str(EXAMPLES / "transcribe.sh"), file, server.url)[0]
        assert _python("transcribe_file.py", file, server.url)[0] == NATO
        assert " ".join(_python("websocket_file.py", file, server.url)).split() == NATO.split()


def test_curl(server: LiveServer, samples: dict[str, Sample]) -> None:
    """The plain answer, then events."""
    lines = _run("bash", str(EXAMPLES / "transcribe.sh"), str(samples["en_nato_8k"].path), server.url)

    assert NATO in lines[0]
    assert lines[-2:] == ["data: [DONE]", ""]


def test_file(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Text, and a line for each word."""
    text, about, *words = _python("transcribe_file.py", str(samples["en_nato_8k"].path), server.url)

    assert (text, about) == (NATO, "(english, 5.5 s)")
    assert [line.split()[-1] for line in words] == NATO.replace(".", "").split()


def test_many_files(server: LiveServer, samples: dict[str, Sample], tmp_path: Path) -> None:
    """What fails is counted, and the others are there."""
    names = ("en_nato_8k", "en_hello")
    files = [str(samples[name].path) for name in names]
    (tmp_path / "text.wav").write_text("this is no recording")
    lines = _python("many_files.py", server.url, *files, str(tmp_path / "text.wav"), status=1)

    assert sorted(lines) == sorted(f"{samples[name].path}: {samples[name].text}" for name in names)


def test_log_probabilities(server: LiveServer, samples: dict[str, Sample]) -> None:
    """All words, and how much was used."""
    lines = _python("stream_logprobs.py", str(samples["en_hello"].path), server.url)

    assert "world" in lines[0]
    assert lines[-1].endswith("tokens")


@pytest.mark.parametrize("options", [[], ["--live"]])
def test_websocket(server: LiveServer, samples: dict[str, Sample], options: list[str]) -> None:
    """As a file, and at the pace of speech."""
    lines = _python("websocket_file.py", str(samples["en_nato_8k"].path), server.url, *options)

    assert " ".join(lines).split() == NATO.split()


def test_captions_to_vtt(server: LiveServer, samples: dict[str, Sample], tmp_path: Path) -> None:
    """A cue for each turn, with its times; the last one though no silence follows it."""
    webvtt = pytest.importorskip("webvtt")
    sound = speech(samples["en_nato_8k"].path, silence=0)
    _python("captions_to_vtt.py", str(tmp_path / "captions.vtt"), server.url, sound=sound)
    cues = webvtt.read(tmp_path / "captions.vtt")

    assert [cue.text for cue in cues] == TURNS
    assert 0 <= cues[0].start_in_seconds <= cues[1].start_in_seconds <= 4


def test_captions_to_vtt_of_silence(server: LiveServer, tmp_path: Path) -> None:
    """What is committed in the end may have no speech, and then is no cue."""
    _python("captions_to_vtt.py", str(tmp_path / "captions.vtt"), server.url, sound=bytes(240_000))

    assert (tmp_path / "captions.vtt").read_text("utf-8") == "WEBVTT\n"


def test_many_files_without_a_server(
    samples: dict[str, Sample], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is named as one that failed, as with any other failure."""
    file = str(samples["en_hello"].path)
    main = runpy.run_path(str(EXAMPLES / "many_files.py"))["main"]
    impatient = lambda **options: AsyncOpenAI(**{**options, "max_retries": 0})  # noqa: E731 - a client
    monkeypatch.setitem(main.__globals__, "AsyncOpenAI", impatient)

    assert asyncio.run(main("nowhere", file)) == 1
    assert capsys.readouterr().err == f"{file}: Connection error.\n"


def test_microphone(
    server: LiveServer, samples: dict[str, Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a sound card that plays a recording and then presses Enter."""
    (tmp_path / "sound.pcm").write_bytes(speech(samples["en_nato_8k"].path))
    monkeypatch.setenv("SOUND", str(tmp_path / "sound.pcm"))
    monkeypatch.setenv("PYTHONPATH", f"{TESTS / 'e2e' / 'sound_card'}{os.pathsep}{os.environ['PYTHONPATH']}")

    assert [line for line in _python("microphone.py", server.url) if line] == TURNS


@pytest.fixture
def node_example(node: Path) -> Iterator[Path]:
    """The folder where Node finds the client's packages, with the examples for it."""
    copies = [node / path.name for path in EXAMPLES.glob("*.mjs")]
    for copy in copies:
        copy.write_text((EXAMPLES / copy.name).read_text("utf-8"), "utf-8")
    yield node
    for copy in copies:
        copy.unlink()


def test_node_stream(node_example: Path, server: LiveServer, samples: dict[str, Sample]) -> None:
    """Word by word."""
    lines = _run("node", str(node_example / "stream.mjs"), str(samples["en_nato_8k"].path), server.url)

    assert lines[0] == NATO
    assert lines[1].endswith("tokens")


def test_node_live(node_example: Path, server: LiveServer, samples: dict[str, Sample]) -> None:
    """Each turn on a line, by the client's own WebSocket, without TLS."""
    sound = speech(samples["en_nato_8k"].path)

    assert _run("node", str(node_example / "live_captions.mjs"), server.url, sound=sound) == TURNS


@pytest.fixture
def site() -> Iterator[str]:
    """Another origin, with the pages."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(EXAMPLES))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()


@in_a_browser
def test_browser_stream(
    quick_whisper: WhisperSpec, samples: dict[str, Sample], site: str, tmp_path: Path
) -> None:
    """A page of another origin, which the server lets in, shows what was said."""
    with live_server([quick_whisper], allowed_origins=(site,)) as server, browser(tmp_path) as chromium:
        page = chromium.page()
        page.open(f"{site}/browser_stream.html?server={server.url}")
        page.files("#file", [samples["en_nato_8k"].path])
        page.until(f"document.getElementById('words').textContent === {NATO!r}")

        assert page.text("#problem") == ""


@in_a_browser
def test_browser_recorder(
    quick_whisper: WhisperSpec, samples: dict[str, Sample], site: str, tmp_path: Path
) -> None:
    """What the browser's microphone hears is there while it is recorded, and settled when it stops."""
    sound = write_microphone(tmp_path / "microphone.wav", int16(load(samples["en_numbers"].path)))
    with (
        live_server([quick_whisper], allowed_origins=(site,)) as server,
        browser(tmp_path, sound) as chromium,
    ):
        page = chromium.page()
        page.open(f"{site}/browser_recorder.html?server={server.url}")
        page.click("#record")
        page.until("document.getElementById('record').textContent === 'Stop'")
        page.until("[...document.querySelectorAll('#words, #interim')].some(e => e.innerText.length > 12)")
        page.click("#record")
        page.until("document.getElementById('record').textContent === 'Record'")

        # Where the machine is busy, Chromium's pretended microphone has gaps.
        assert {*page.text("#words").split()} & {*samples["en_numbers"].text.split()}
        assert page.text("#problem") == ""
