"""The gateway as its own process, as users start it, and what the kernel and its metrics tell of it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Self
from urllib.request import ProxyHandler, build_opener

import anyio
from prometheus_client.parser import text_string_to_metric_families

from bench import client

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 120
GATEWAY = (sys.executable, "-m", "gateway", "serve")
_OPEN = build_opener(ProxyHandler({})).open
_TICKS = os.sysconf("SC_CLK_TCK")


class Metrics(dict[str, float]):
    """A server's samples by name, at one time or, as a difference, between two."""

    def __sub__(self, before: Self) -> "Metrics":
        return Metrics({name: value - before.get(name, 0) for name, value in self.items()})

    @property
    def calls(self) -> float:
        """Of the engine."""
        return self.get("gateway_batch_seconds_count", 0)

    @property
    def call_seconds(self) -> float:
        """Of the mean call; NaN where there was none."""
        return self["gateway_batch_seconds_sum"] / self.calls if self.calls else float("nan")

    @property
    def rows(self) -> float:
        """That were decoded."""
        return self.get("gateway_decoded_rows_total", 0)


class RunningServer:
    """A gateway that serves one model."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self.port = port

    @property
    def edge(self) -> int:
        """The server's process."""
        return self._process.pid

    @property
    def workers(self) -> list[int]:
        """The processes that run the model."""
        tasks = Path(f"/proc/{self.edge}/task").iterdir()
        return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]

    def cpu_seconds(self) -> float:
        """Of all its processes."""
        return sum(map(cpu_seconds, [self.edge, *self.workers]))

    def upload(self, path: Path, *, seconds: float = 0.0, leave_after: int | None = None) -> client.Reply:
        """One client, as `bench.client.transcribe`."""
        return anyio.run(
            partial(client.transcribe, self.port, path, seconds=seconds, leave_after=leave_after)
        )

    def upload_all(self, paths: Sequence[Path]) -> None:
        """A client for each recording, all at once."""

        async def all_at_once() -> None:
            async with anyio.create_task_group() as tasks:
                for path in paths:
                    tasks.start_soon(client.transcribe, self.port, path)

        anyio.run(all_at_once)

    def metrics(self, **labels: str) -> Metrics:
        """All samples by name, over all labels but those given."""
        values = Metrics()
        for family in text_string_to_metric_families(self._get("/metrics").decode()):
            for sample in family.samples:
                if not sample.name.endswith("_bucket") and labels.items() <= sample.labels.items():
                    values[sample.name] = values.get(sample.name, 0) + sample.value
        return values

    def wait_idle(self) -> None:
        """Returns when no recording is open and no row is decoded."""
        while True:
            values = self.metrics()
            if not values["gateway_open_streams"] and not values.get("gateway_running_rows"):
                return
            time.sleep(0.02)

    def wait_ready(self) -> None:
        """Returns when a worker serves."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended with status {self._process.returncode}")
            try:
                self._get("/ready")
            except (OSError, HTTPException):
                time.sleep(0.05)
            else:
                return
        raise TimeoutError("the server did not become ready")

    def _get(self, path: str) -> bytes:
        data: bytes = _OPEN(f"http://127.0.0.1:{self.port}{path}", timeout=30).read()
        return data


async def metrics_at(server: RunningServer, rows: float) -> Metrics:
    """The server's metrics once it has decoded so many rows."""
    while True:
        values = await anyio.to_thread.run_sync(server.metrics)
        if values.rows >= rows:
            return values
        await anyio.sleep(0.1)  # it is another process that counts


@contextmanager
def serve(
    model: Path | None, *, command: Sequence[str] = GATEWAY, **variables: str
) -> Iterator[RunningServer]:
    """Runs a server until the context is left.

    Args:
        model: None: what it takes by itself.
        variables: Settings, as GATEWAY_BEAM_SIZE.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    arguments = [*command, "--port", str(port), "--log-level", "warning"]
    if model is not None:
        arguments += ["--model", str(model)]
    process = subprocess.Popen(arguments, cwd=ROOT, env={**os.environ, **variables})
    server = RunningServer(process, port)
    try:
        server.wait_ready()
        yield server
    finally:
        process.terminate()
        process.wait()


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its threads, also those that ended; in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mb(pid: int, *, peak: bool = False) -> float:
    """Resident memory, now or at its highest since `forget_peak`."""
    name = "VmHWM:" if peak else "VmRSS:"
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError(f"process {pid} has no {name}")


def forget_peak(pid: int) -> None:
    """Starts the measuring of the peak anew (Linux: ``/proc/PID/clear_refs``)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
