"""Workers are as many, and where, as the settings say."""

import os
from dataclasses import replace

import anyio
import pytest

from gateway.engine.whisper.engine import WhisperSpec
from gateway.metrics import Metrics
from gateway.runtime.workers import make_batcher
from gateway.settings import Settings


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system pins no process")
@pytest.mark.parametrize(
    ("devices", "workers", "processes"), [((), 1, 1), (("cpu", "cpu"), 1, 2), ((), 2, 2)]
)
async def test_cpu_workers(
    mini_whisper: WhisperSpec, devices: tuple[str, ...], workers: int, processes: int
) -> None:
    """As many as devices times workers; several have cores of their own, if there are so many."""
    settings = Settings(devices=devices, workers=workers)
    batcher = make_batcher(mini_whisper, settings, Metrics())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(batcher.run)
        await batcher.wait_ready()
        await batcher.changed.until(lambda: all(status.state.serves for status in batcher.state))
        cores = [os.sched_getaffinity(status.pid or 0) for status in batcher.state]
        tasks.cancel_scope.cancel()
    ours = os.sched_getaffinity(0)

    assert len(cores) == processes
    if processes == 1 or len(ours) < processes:
        assert all(kept == ours for kept in cores)
    else:
        assert not set.intersection(*cores)
        assert set.union(*cores) <= ours


@pytest.mark.slow
async def test_an_express_worker(mini_whisper: WhisperSpec) -> None:
    """The other one gives way to it on the same cores."""
    batcher = make_batcher(replace(mini_whisper, express=True), Settings(), Metrics())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(batcher.run)
        await batcher.changed.until(lambda: all(status.state.serves for status in batcher.state))
        niceness = [os.getpriority(os.PRIO_PROCESS, status.pid or 0) for status in batcher.state]
        cores = [os.sched_getaffinity(status.pid or 0) for status in batcher.state]
        tasks.cancel_scope.cancel()
    ours = os.getpriority(os.PRIO_PROCESS, 0)

    assert niceness == [ours, min(ours + 10, 19)]
    assert cores == [os.sched_getaffinity(0)] * 2


def test_gpu_workers(mini_whisper: WhisperSpec) -> None:
    """Each GPU has its workers, and a model for the CPU beside them its own."""
    settings = Settings(devices=("cuda:0", "cuda:1"), workers=2)
    on_gpu = WhisperSpec(name="gpu", path=mini_whisper.path, device="cuda")

    assert len(make_batcher(on_gpu, settings, Metrics()).state) == 4
    assert len(make_batcher(mini_whisper, settings, Metrics()).state) == 2
