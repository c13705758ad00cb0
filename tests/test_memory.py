"""How much memory there is, and that what is free of it goes back to the system."""

import subprocess
import sys
from pathlib import Path
from platform import libc_ver

import pytest

from gateway.memory import available_bytes

MACHINE = available_bytes(Path("/nowhere"), Path("/nowhere"))


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        ("", {}, MACHINE),
        ("0::/", {"memory.max": "max"}, MACHINE),
        ("0::/", {"memory.max": "1000"}, 1000),
        ("0::/a/b", {"memory.max": "max", "a/b/memory.max": "2000"}, 2000),
        ("4:memory:/a\n3:cpu:/", {"memory/a/memory.limit_in_bytes": "3000"}, 3000),
        ("4:memory:/", {"memory/memory.limit_in_bytes": str(2**63 - 4096)}, MACHINE),
    ],
)
def test_what_there_is(tmp_path: Path, own: str, files: dict[str, str], limit: int) -> None:
    """A container's limit in both versions of control groups, seen from inside and from outside."""
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    assert available_bytes(tmp_path, tmp_path / "own") == limit


PEAK = """
import asyncio, threading
from gateway import allocator, memory

memory.LOOK_SECONDS = 0.05
assert allocator.give_back()

def work():
    "Blocks of all sizes, the last of each round among those that stay until the end of all."
    kept = [bytes(900_000 >> (n % 8)) for n in range(400)] + [bytes(20_000_000)]
    del kept[1::2]
    return kept

def run(number):
    held[number] = work()

async def main():
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(memory.keep_small())
        await asyncio.sleep(0.1)
        before = memory.resident_bytes()
        threads = [threading.Thread(target=run, args=(n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        peak = memory.resident_bytes()
        held.clear()
        while memory.resident_bytes() > before + 30_000_000:
            await asyncio.sleep(0.02)
        print(before, peak)
        keeping.cancel()

held = {}
asyncio.run(main())
"""


@pytest.mark.skipif(libc_ver()[0] != "glibc", reason="the C library has no mallopt")
@pytest.mark.promise("memory of a peak is given back to the system")
def test_a_peak_is_given_back() -> None:
    """Twenty threads that take 600 MB leave less than 30 behind: the loop ends, or the test's time does."""
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    before, peak = map(int, done.stdout.split())

    assert peak > before + 200_000_000
