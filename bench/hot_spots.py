"""``python -m bench.hot_spots``: where the server's CPU goes under four recordings, by py-spy."""

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

import anyio

from bench import client
from bench.report import Bench
from bench.server import RunningServer, serve

SECONDS = 30
SHOWN = 16
OURS = ("gateway/", "onnxruntime/", "uvicorn/", "h11/")
WAITING = ("wait (threading", "Condition.wait (threading")
"""py-spy takes a thread that waits for a lock with a time limit for a running one."""


def main() -> None:
    """Prints the share of samples in which each of our functions was on a running thread's stack."""
    bench = Bench(Path(tempfile.gettempdir()) / "gateway-bench", quick=True)
    files = [bench.opus(600, start) for start in range(4)]
    with serve(bench.miniature) as server, tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "samples"
        spy = subprocess.Popen(
            [
                shutil.which("py-spy") or "py-spy",
                "record",
                "-f",
                "raw",
                "-o",
                samples,
                "-p",
                str(server.edge),
                "-d",
                str(SECONDS),
            ],
            stdout=subprocess.DEVNULL,
        )
        anyio.run(_transcribe, server, files)
        if spy.wait():
            sys.exit("py-spy failed")
        stacks = [
            line.rsplit(" ", 1)
            for line in samples.read_text().splitlines()
            if not _function(line.rsplit(" ", 1)[0].split(";")[-1]).startswith(WAITING)
        ]
    total = sum(int(count) for _, count in stacks)
    shares: Counter[str] = Counter()
    for stack, count in stacks:
        names = {_function(frame) for frame in stack.split(";") if any(ours in frame for ours in OURS)}
        shares.update(dict.fromkeys(names, int(count)))
    for name, samples_with_it in shares.most_common(SHOWN):
        print(f"{samples_with_it / total:6.1%}  {name}")


def _function(frame: str) -> str:
    """The frame without its line."""
    return frame.rsplit(":", 1)[0]


async def _transcribe(server: RunningServer, files: list[Path]) -> None:
    async with anyio.create_task_group() as tasks:
        for file in files:
            tasks.start_soon(partial(client.transcribe, server.port, file))


if __name__ == "__main__":
    main()
