"""How many threads the training uses beside other processes."""

import multiprocessing
import os
import time
from pathlib import Path

import torch


class Threads:
    """Uses a thread less for each core that other processes keep busy (Linux only).

    At low priority a starved thread holds the others up at every barrier, which cost a factor of ten.
    """

    def __init__(self) -> None:
        self._cores = os.cpu_count() or 2
        self._last = self._read()
        torch.set_num_threads(self._cores)

    def update(self) -> None:
        """Adapts; looks every three seconds at most."""
        now = self._read()
        wall, busy, own = (a - b for a, b in zip(now, self._last, strict=True))
        if wall < 3:
            return
        self._last = now
        others = max(0.0, busy - own) / wall
        n = max(1, self._cores - round(others + 0.2))
        if n != torch.get_num_threads():
            torch.set_num_threads(n)

    def _read(self) -> tuple[float, float, float]:
        """Wall clock, busy seconds of all cores, and those of this process and its children."""
        hz = os.sysconf("SC_CLK_TCK")
        user, nice, system, _idle, _iowait, irq, softirq = (
            int(field) for field in Path("/proc/stat").read_text("ascii").splitlines()[0].split()[1:8]
        )
        own = sum(os.times()[:4])
        for child in multiprocessing.active_children():
            try:
                fields = Path(f"/proc/{child.pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()
            except OSError:  # it ended meanwhile
                continue
            own += (int(fields[11]) + int(fields[12])) / hz
        return time.time(), (user + nice + system + irq + softirq) / hz, own
