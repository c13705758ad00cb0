"""Where the server's CPU goes under four recordings: its functions on running threads' stacks, by py-spy."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator

from bench.server import serve
from bench.stage import Bench, Finding, Table

SECONDS = 30
SHOWN = 16
OURS = ("gateway/", "onnxruntime/", "uvicorn/", "h11/")
WAITING = ("wait (threading", "Condition.wait (threading")
"""py-spy takes a thread that waits for a lock with a time limit for a running one."""


def run(bench: Bench) -> Iterator[Finding]:
    """The share of samples in which each of our functions was on a running thread's stack."""
    files = [bench.opus(600, start) for start in range(4)]
    spy, samples = shutil.which("py-spy") or "py-spy", bench.folder / "samples"
    with serve(bench.model()) as server:
        record = f"record -f raw -o {samples} -p {server.edge} -d {SECONDS}"
        process = subprocess.Popen([spy, *record.split()], stdout=subprocess.DEVNULL)
        server.upload_all(files)
        if process.wait():
            raise RuntimeError("py-spy failed")
    total, shares = 0, Counter[str]()
    for line in samples.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        if not _function(frames[-1]).startswith(WAITING):
            total += int(count)
            names = {_function(frame) for frame in frames if any(ours in frame for ours in OURS)}
            shares.update(dict.fromkeys(names, int(count)))
    rows = [(name, f"{count / total:.1%}") for name, count in shares.most_common(SHOWN)]
    yield Table("Shares of the server's running threads, four recordings at once", ("", "share"), rows)


def _function(frame: str) -> str:
    """The frame without its line."""
    return frame.rpartition(":")[0]
