"""What a real model takes of the machine's memory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from gateway.engine.api import DecodeOptions, DecodeRequest
from gateway.engine.batcher import Batcher, BatcherOptions
from gateway.engine.whisper.engine import WhisperSpec
from gateway.metrics import Metrics

if TYPE_CHECKING:
    from tests.words.judge import Judge

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LANES = 2


def _peak_bytes(pid: int) -> int:
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says what a process takes")
async def test_no_more_than_was_reckoned_with(judge: Judge) -> None:
    """A worker with full windows in all its lanes; what is reckoned with is not twice as much, either."""
    spec = WhisperSpec(name="base", path=judge.model, lanes=LANES, cpu_threads=1)
    window = judge.recordings["en_lj_g0"].samples[: 16_000 * 29]
    batcher = Batcher(spec, Metrics(), BatcherOptions(bounds_calls=True))

    async def decode(stream: str) -> None:
        await batcher.transcribe(DecodeRequest(window, DecodeOptions(language="en")), stream=stream)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(batcher.run)
        await batcher.wait_ready()
        async with anyio.create_task_group() as calls:
            for number in range(2 * LANES):
                calls.start_soon(decode, str(number))
        pid = batcher.state[0].pid
        assert pid is not None
        peak = _peak_bytes(pid)
        tasks.cancel_scope.cancel()

    assert batcher.memory_bytes / 2 < peak <= batcher.memory_bytes
