"""What is freed stays with a decoder, and leaves a server."""

import subprocess
import sys
from platform import libc_ver

import pytest

ROUNDS = 100

SCRIPT = f"""
import resource, sys
from gateway import allocator

assert getattr(allocator, sys.argv[1])()

def use():
    "Takes two large blocks, writes to them, and frees them."
    for block in (bytearray(8_000_000), bytearray(30_000_000)):
        block[::4096] = bytes(len(range(0, len(block), 4096)))

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

use()
before = faults()
for _ in range({ROUNDS}):
    use()
print(faults() - before)
"""


def faults(way: str) -> int:
    """Pages that the system had to find for blocks used again and again."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, way], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(libc_ver()[0] != "glibc", reason="the C library has no mallopt")
def test_what_is_freed() -> None:
    """A decoder's next tensor costs no page; a server's blocks are new ones each time."""
    assert faults("keep") < ROUNDS
    assert faults("give_back") >= 2 * ROUNDS
