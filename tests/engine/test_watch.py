"""A worker that hangs is told from one that is starved and from one that is slow."""

import os
import signal
import subprocess
import sys

import anyio
import pytest

from gateway.engine.watch import Deadline, cpu_seconds, is_stopped, until_stopped
from tests.clock import Clock

IDLE, BUSY = 10.0, 40.0


def over_at(cpu: list[float]) -> int | None:
    """The second at which a call is over, given the worker's processor time at each."""
    deadline = Deadline(IDLE, BUSY, now=0, cpu=0)
    return next((now for now, used in enumerate(cpu) if deadline.is_over(now, used)), None)


@pytest.mark.parametrize(
    ("cpu", "over"),
    [
        ([0.0] * 60, 10),  # it waits from the beginning
        ([min(3.0, second) for second in range(60)], 10),  # it works for 3 s and waits then
        ([min(9.0, second) for second in range(60)], 14),  # for 9 s: found within ten of its hang
        ([min(12.0, second) for second in range(60)], 17),
        ([min(0.3, 0.02 * second) for second in range(60)], 20),  # it is starved for 15 s, and waits then
        ([0.02 * second for second in range(200)], None),  # it is starved, and gets on
        ([float(second) for second in range(60)], 40),  # it runs in circles
        ([4.0 * second for second in range(60)], 40),  # the same on four cores: the clock counts, too
        ([0.5 * second for second in range(100)], 80),  # the same, half starved
    ],
)
def test_deadline(cpu: list[float], over: int | None) -> None:
    """Waiting counts by the clock, working by the clock and the processor."""
    assert over_at(cpu) == over


@pytest.mark.parametrize("hangs_at", range(0, 40, 3))
def test_a_hang_is_found_within_its_deadline(hangs_at: int) -> None:
    """Whenever it begins within a call, and however much the worker did before."""
    over = over_at([float(min(hangs_at, second)) for second in range(100)])

    assert over is not None
    assert over - hangs_at <= IDLE


def test_processor_time() -> None:
    """Of a process that works, and of none."""
    before = cpu_seconds(os.getpid())
    sum(range(10**6))

    assert cpu_seconds(os.getpid()) > before > 0
    assert cpu_seconds(2**22 + 1) == 0


def test_stopped() -> None:
    """By a signal; not one that sleeps, and not one that does not exist."""
    command = [sys.executable, "-c", "print('up', flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        before = is_stopped(process.pid)
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        stopped = is_stopped(process.pid)
        process.kill()

    assert (before, stopped, is_stopped(2**22 + 1)) == (False, True, False)


async def test_who_is_stopped_for_a_moment_goes_on(clock: Clock) -> None:
    """As under a debugger; only who stays stopped is given up."""
    looks = [True, True, False, *[True] * 5]
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                await until_stopped(1, 1.0, lambda _: looks.pop(0))
                scope.cancel()

            tasks.start_soon(watch)
            for _ in range(8):
                await anyio.wait_all_tasks_blocked()
                assert not scope.cancel_called
                clock.advance(0.25)
                await anyio.sleep(0.001)
            await anyio.sleep_forever()

    assert looks == []
