"""Whether a worker process hangs: told from its processor time and its state, never from the clock alone.

A worker that waits for something it will not get uses no processor; one that is starved uses little, and more
as time goes by; one that runs in circles uses all it can get, and so does one that is merely slow.
"""

import time
from collections.abc import Callable
from pathlib import Path

import anyio

LEAST_SHARE = 0.01
"""Of a core: a worker that gets less, while it has something to do, waits for something."""

TICK_SECONDS = 0.25
"""How often a worker is looked at."""

_STOPPED = ("T", "t")
"""States of proc_pid_stat(5): stopped by a signal, or by a debugger."""


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has had, all its threads together; 0 where the system does not say."""
    try:
        # What glibc's clock_getcpuclockid(3) computes; Python has no name for it.
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0


def is_stopped(pid: int) -> bool:
    """Whether somebody stopped the process (SIGSTOP, a debugger); False where the system does not say."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    # The program's name stands in brackets, and may hold anything.
    return stat.rpartition(")")[2].split(maxsplit=1)[0] in _STOPPED


class Deadline:
    """What one call may take: sans-I/O, `is_over` is asked again and again.

    Args:
        idle: Seconds after which a call whose worker waits for something is over.
        busy: Seconds, by the clock and of processor time, after which it is over though its worker works.
        now: Seconds.
        cpu: Processor time of the worker so far.
    """

    def __init__(self, idle: float, busy: float, *, now: float, cpu: float) -> None:
        self._idle = idle
        self._busy = busy
        self._began, self._began_cpu = now, cpu
        self._worked_at, self._seen_cpu = now, cpu

    def is_over(self, now: float, cpu: float) -> bool:
        """Whether the worker hangs.

        A worker that stops working at some time within the call has half of ``idle`` from there, and never
        less than all of it from the call's beginning; so it is found within ``idle`` of when it hangs.
        """
        if cpu - self._seen_cpu >= LEAST_SHARE * (now - self._worked_at):
            self._worked_at, self._seen_cpu = now, cpu
        elapsed = now - self._began
        if elapsed >= self._idle and now - self._worked_at >= self._idle / 2:
            return True
        return elapsed >= self._busy and cpu - self._began_cpu >= self._busy


async def until_stuck(pid: int, idle: float, busy: float) -> None:
    """Returns when the process has had its time for a call, see `Deadline`."""
    deadline = Deadline(idle, busy, now=anyio.current_time(), cpu=cpu_seconds(pid))
    while True:
        await anyio.sleep(min(TICK_SECONDS, idle / 4))
        if deadline.is_over(anyio.current_time(), cpu_seconds(pid)):
            return


async def until_stopped(pid: int, seconds: float, is_stopped: Callable[[int], bool] = is_stopped) -> None:
    """Returns when the process has been stopped for ``seconds``: it will not go on by itself."""
    since: float | None = None
    while True:
        await anyio.sleep(min(TICK_SECONDS, seconds / 4))
        if not is_stopped(pid):
            since = None
        elif since is None:
            since = anyio.current_time()
        elif anyio.current_time() - since >= seconds:
            return
