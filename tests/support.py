"""A real server for tests: uvicorn on a free port, real worker processes; and the recordings."""

import atexit
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI

from gateway.app import Gateway
from gateway.audio.speaker_model import SpeakerModel
from gateway.engine.api import EngineSpec
from gateway.engine.lifecycle import ModelPlan, ModelPolicy
from gateway.errors import ModelUnavailableError
from gateway.serving import Server
from gateway.settings import Settings
from gateway.systemd import FIRST_PASSED
from tests.toy_speakers import write_toy_speakers

TESTS = Path(__file__).parent
MODEL = TESTS / "mini-whisper" / "model"
SAMPLES = TESTS / "mini-whisper" / "samples"
WAIT_SECONDS = 120.0
"""What takes longer hangs. Margins of tests are for busy machines, and cost nothing on others."""


BLOCKED = {
    "HF_ENDPOINT": "http://127.0.0.1:9",
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_FIND_LINKS": "",
}
"""Keeps hub and package index unasked, in this process and in those it starts."""

_SAVED = "TESTS_OPEN_SOURCES"


def block_sources() -> None:
    """No test asks hub or package index but those that say so, by `open_sources`."""
    # Kept in the environment, for pytest-xdist starts its processes with the blocked one.
    os.environ.setdefault(_SAVED, json.dumps({name: os.environ.get(name) for name in BLOCKED}))
    os.environ.update(BLOCKED)


@contextmanager
def open_sources() -> Iterator[None]:
    """Inside, hub and package index are what they are outside of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in json.loads(os.environ[_SAVED]).items():
            if value is None:
                patch.delenv(name)
            else:
                patch.setenv(name, value)
        yield


@dataclass(frozen=True)
class Sample:
    """A recording and what is said in it."""

    path: Path
    language: str
    duration: float
    text: str
    utterances: list[dict[str, Any]]


class LiveServer:
    """A running gateway.

    Attributes:
        loop: The event loop, which runs in a thread of its own.
        openai: The official client, as users have it, but without its retries: tests see every refusal.
    """

    def __init__(self, server: Server, gateway: Gateway) -> None:
        self.gateway = gateway
        self._server = server
        self.loop = server.servers[0].get_loop()
        self.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        self.openai = OpenAI(base_url=f"{self.url}/v1", api_key="unused", max_retries=0)

    def end(self) -> None:
        """As at a signal; returns before it has ended."""
        self._server.should_exit = True

    def metric(self, name: str) -> float:
        """A metric's value, over all its labels."""
        return metric(self.url, name)

    def post(self, **fields: Any) -> httpx.Response:
        """A transcription request of raw form fields; ``file`` is bytes or a (name, bytes) pair."""
        files = {"file": fields.pop("file")} if "file" in fields else {"nothing": ("", b"")}
        return httpx.post(f"{self.url}/v1/audio/transcriptions", data=fields, files=files, timeout=120)


@contextmanager
def live_server(
    specs: Sequence[EngineSpec], *, unpinned: Collection[str] = (), **settings: Any
) -> Iterator[LiveServer]:
    """Serves ``specs`` until the context is left; inside it all models but the ``unpinned`` are loaded."""
    chosen = Settings(log_level="warning", **{"port": 0, "speakers": str(toy_speakers()), **settings})
    plans = [
        ModelPlan(
            spec.name,
            partial(_itself, spec),
            ModelPolicy(pinned=spec.name not in unpinned, load_wait=60),
        )
        for spec in specs
    ]
    gateway = Gateway(chosen, plans)
    server = Server(gateway, chosen)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started and all(model.ready for model in gateway.models))
        running = LiveServer(server, gateway)
        with running.openai:
            yield running
    finally:
        server.should_exit = True
        thread.join()


@dataclass(frozen=True)
class Process:
    """A server in a process of its own.

    Attributes:
        url: Where it listens.
        log: What it has written.
    """

    url: str
    log: Path
    popen: "subprocess.Popen[bytes]"

    def client(self) -> OpenAI:
        """The official client, without its retries."""
        return OpenAI(base_url=f"{self.url}/v1", api_key="unused", max_retries=0)

    def metric(self, name: str) -> float:
        """A metric's value, over all its labels."""
        return metric(self.url, name)

    def health(self) -> Any:
        """How it says that it is."""
        return httpx.get(f"{self.url}/health", timeout=WAIT_SECONDS).json()

    @property
    def pids(self) -> list[int]:
        """Of the server and its workers."""
        pid = self.popen.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def megabytes(self) -> float:
        """What server and workers hold in memory."""
        return sum(_status(pid, "VmRSS") for pid in self.pids) / 1_000

    def peak_megabytes(self) -> float:
        """The most that each of them has held in memory, together."""
        return sum(_status(pid, "VmHWM") for pid in self.pids) / 1_000


def metric(url: str, name: str) -> float:
    """What a server says of a metric, over all its labels."""
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in httpx.get(f"{url}/metrics", timeout=WAIT_SECONDS).text.splitlines()
        if line.startswith(name) and line[len(name)] in " {"
    )


def _status(pid: int, field: str) -> int:
    """A field of proc_pid_status(5), in kilobytes."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition(f"{field}:")[2].split()[0])


@contextmanager
def served(
    *flags: str, limit: Callable[[], None] | None = None, under: Sequence[str] = (), **environment: str
) -> Iterator[Process]:
    """The real command with the miniature, from when it is ready until the context is left.

    Args:
        limit: Called in the new process before it begins.
        under: The command that runs it.
    """
    command = [sys.executable, "-m", "gateway", "serve", "--port", "0", "--model", str(MODEL)]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "stderr"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [*under, *command, *flags],
                stderr=stderr,
                preexec_fn=limit,  # noqa: PLW1509 - no thread runs in the tests' process then
                # One worker, as most tests need no second: what has two says so.
                env={
                    **os.environ,
                    "GATEWAY_SHUTDOWN_GRACE": "0.1",
                    "GATEWAY_EXPRESS_WORKER": "off",
                    **environment,
                },
            )
        try:
            until(lambda: process.poll() is not None or "is ready" in log.read_text())
            assert process.poll() is None, (process.returncode, log.read_text())
            url = log.read_text().split("running on ")[1].split()[0]
            yield Process(url, log, process)
        finally:
            process.terminate()
            process.wait()


def until(holds: Callable[[], object]) -> None:
    """Returns once ``holds()`` is true: for what happens in another process, which tells nobody.

    It is asked now and then, so that the other one gets the processor.

    Raises:
        TimeoutError: It does not come true.
    """
    pause, deadline = threading.Event(), time.monotonic() + WAIT_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so within {WAIT_SECONDS:g} s")
        pause.wait(0.01)


def _itself(spec: EngineSpec) -> EngineSpec:
    return spec


@cache
def toy_speakers() -> Path:
    """Networks for tests of everything but who speaks; the process's own, deleted with it."""
    folder = tempfile.mkdtemp(prefix="toy-speakers-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write_toy_speakers(Path(folder))


def no_speakers() -> SpeakerModel:
    """For a `SpeakerSource` that has nothing to give."""
    raise ModelUnavailableError("nobody is told apart")


def english_only(folder: Path) -> Path:
    """A copy of the miniature without the empty token, by which CTranslate2 tells multilingual models."""
    shutil.copytree(MODEL, folder, dirs_exist_ok=True)
    vocabulary = json.loads((folder / "vocabulary.json").read_text())
    vocabulary[vocabulary.index("")] = "<|unused|>"
    (folder / "vocabulary.json").write_text(json.dumps(vocabulary))
    return folder


def load_samples() -> dict[str, Sample]:
    """The miniature's recordings by name, with their true texts and word times."""
    rows = json.loads((SAMPLES / "samples.json").read_text())
    return {
        Path(row["file"]).stem: Sample(
            SAMPLES / row["file"], row["language"], row["duration"], row["text"], row["utterances"]
        )
        for row in rows
    }


@contextmanager
def serving_on(listener: socket.socket) -> Iterator["subprocess.Popen[bytes]"]:
    """The real command with the miniature, given the socket as systemd gives it."""
    serve = [sys.executable, "-m", "gateway", "serve", "--model", str(MODEL), "--log-level", "error"]
    process = subprocess.Popen(
        ["bash", "-c", f'exec {FIRST_PASSED}<&{listener.fileno()}; LISTEN_PID=$$ exec "$@"', "bash", *serve],
        env={**os.environ, "LISTEN_FDS": "1"},
        pass_fds=(listener.fileno(),),
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def has_avx512() -> bool:
    """Whether int8 is computed as where the expectations of sound and random weights were measured."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and "avx512" in cpuinfo.read_text("utf-8")
