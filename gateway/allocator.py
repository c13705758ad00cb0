"""What glibc's allocator does with memory that is freed: a server gives it back, a decoder keeps it.

Both set what `mallopt(3)` describes, which holds for the whole process. Other C libraries have no such call.
"""

import ctypes
from contextlib import suppress

_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_M_MMAP_MAX = -4
_M_ARENA_MAX = -8

_LARGE_BYTES = 1024 * 1024
"""Blocks from here on are the system's, and go back at once. glibc itself moves that bound up to 32 MB."""

_ARENAS = 4
"""As many heaps as threads that do something at the same time; else there are eight for each core."""

_STEP_BYTES = 64 * 1024 * 1024
"""By so much the heap grows at a time."""

_NEVER = 2**31 - 1
"""The most that `mallopt` takes."""


def give_back() -> bool:
    """Has large blocks go back to the system when they are freed; False where the C library is another."""
    return _set({_M_MMAP_THRESHOLD: _LARGE_BYTES, _M_ARENA_MAX: _ARENAS})


def keep() -> bool:
    """Has what is freed stay for the next time; False where the C library is another.

    CTranslate2 takes and frees each tensor. Where the large ones go back to the system in between, a row of
    30 s costs 300,000 page faults, a fifth of its time, and the peak is the same. Called before there are
    threads: their own heaps cannot hold large blocks.
    """
    return _set({_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: _NEVER, _M_TOP_PAD: _STEP_BYTES, _M_ARENA_MAX: 1})


def trim() -> bool:
    """Gives back what is free now, which takes milliseconds; False where the C library cannot.

    Other Python threads run meanwhile.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
        return True
    return False


def _set(parameters: dict[int, int]) -> bool:
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        return all(mallopt(name, value) for name, value in parameters.items())
    return False
