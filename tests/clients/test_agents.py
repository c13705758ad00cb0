"""Frameworks for voice agents, by their own OpenAI plugins: utterances, live sessions, a restart."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO

import pytest

from tests.clients.conftest import Run
from tests.e2e.speaker import speech
from tests.support import TESTS, LiveServer, Sample, serving_on, until

pytestmark = pytest.mark.slow

EXAMPLES = TESTS.parent / "client_examples"
TEXT = "Alpha zulu november six. Quebec tango kilo nine."
TURNS = ["Alpha zulu november six.", "Quebec tango kilo nine."]
BLOCK_SECONDS = 0.05

Command = Callable[..., list[str]]


@pytest.mark.client("livekit", "livekit-plugins-openai", "STT of utterances")
def test_livekit_utterance(server: LiveServer, samples: dict[str, Sample], run: Run) -> None:
    """A file for each."""
    assert run("livekit_file.py", server.url, str(samples["en_nato_8k"].path)) == TEXT


@pytest.mark.client("pipecat", "pipecat-ai", "OpenAISTTService, of utterances")
def test_pipecat_utterance(server: LiveServer, samples: dict[str, Sample], run: Run) -> None:
    """A file for each."""
    assert run("pipecat_file.py", server.url, str(samples["en_nato_8k"].path)) == [TEXT]


class Agent:
    """A running client whose microphone is fed at the pace of speech, over and over, until it is to end.

    Attributes:
        lines: What it has printed.
    """

    def __init__(self, command: list[str], sound: bytes, rate: int) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._output = self._process.stdout
        self.lines: list[str] = []
        self._quiet = threading.Event()
        self._threads = [
            threading.Thread(target=self._speak, args=(self._process.stdin, sound, rate)),
            threading.Thread(target=self._read, args=(self._output,)),
        ]
        for thread in self._threads:
            thread.start()

    def _speak(self, microphone: IO[bytes], sound: bytes, rate: int) -> None:
        size = int(2 * rate * BLOCK_SECONDS)
        at = 0
        while not self._quiet.wait(BLOCK_SECONDS):
            with suppress(BrokenPipeError):  # who reads its lines sees that it ended
                microphone.write(sound[at : at + size])
                microphone.flush()
            at = (at + size) % len(sound)
        with suppress(BrokenPipeError):
            microphone.close()

    def _read(self, output: IO[bytes]) -> None:
        self.lines.extend(line.decode().strip() for line in output)

    def hears(self, line: str, *, after: int = 0) -> int:
        """Waits for it; gives how many lines there were then."""
        until(lambda: self._process.poll() is not None or any(line in each for each in self.lines[after:]))
        assert any(line in each for each in self.lines[after:]), self.lines
        return len(self.lines)

    def end(self) -> None:
        """Nothing more is said, and it ends by itself."""
        self._quiet.set()
        try:
            self._process.wait(120)
        finally:
            self._process.kill()
            for thread in self._threads:
                thread.join()
            self._output.close()


def _agent(command: Command, kind: str, url: str, sample: Sample) -> Agent:
    if kind == "livekit":
        return Agent(command("livekit_session.py", url, str(EXAMPLES)), speech(sample.path), 24_000)
    example = str(EXAMPLES / "pipecat_pipeline.py")
    return Agent([command(example)[0], example, url], speech(sample.path, 16_000), 16_000)


in_both = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            "livekit", marks=pytest.mark.client("livekit", "livekit-plugins-openai", "live session")
        ),
        pytest.param("pipecat", marks=pytest.mark.client("pipecat", "pipecat-ai", "live session")),
    ],
)


@in_both
def test_live(server: LiveServer, samples: dict[str, Sample], command: Command, kind: str) -> None:
    """The examples' agent and pipeline: each turn on a line."""
    agent = _agent(command, kind, server.url, samples["en_nato_8k"])
    try:
        for turn in TURNS:
            agent.hears(turn)
    finally:
        agent.end()


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind, marks=pytest.mark.client(kind, package, "live session over a restart of the server")
        )
        for kind, package in (("livekit", "livekit-plugins-openai"), ("pipecat", "pipecat-ai"))
    ],
)
def test_restart(samples: dict[str, Sample], command: Command, kind: str) -> None:
    """The server ends and begins again, and the client, which nobody touches, goes on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with serving_on(listener) as first:
            agent = _agent(command, kind, url, samples["en_nato_8k"])
            try:
                agent.hears(TURNS[0])
                first.send_signal(signal.SIGTERM)
                first.wait(60)
                with serving_on(listener):
                    heard = len(agent.lines)
                    for turn in TURNS:
                        agent.hears(turn, after=heard)
            finally:
                agent.end()
