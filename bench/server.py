"""The gateway as its own process, as users start it, and what the kernel and its metrics tell of it."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 120
_TICKS = os.sysconf("SC_CLK_TCK")


class RunningServer:
    """A gateway that serves one model."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self.port = port

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

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
        """CPU time of the server and its workers."""
        return sum(map(cpu_seconds, [self.edge, *self.workers]))

    def metrics(self, **labels: str) -> dict[str, float]:
        """All samples by name, over all labels but those given."""
        values: dict[str, float] = {}
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
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
            else:
                return
        raise TimeoutError("the server did not become ready")

    def _get(self, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                raise http.client.HTTPException(f"{path}: {response.status}")
            return body
        finally:
            connection.close()


@contextmanager
def serve(
    model: Path, *, command: Sequence[str] = ("-m", "gateway", "serve"), **variables: str
) -> Iterator[RunningServer]:
    """Runs a server until the context is left.

    Args:
        command: Python's arguments.
        variables: Settings, as GATEWAY_BEAM_SIZE.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, *command, "--port", str(port), "--model", str(model), "--log-level", "warning"],
        cwd=ROOT,
        env={**os.environ, **variables},
    )
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
