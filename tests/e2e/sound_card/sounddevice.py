"""Stands for `sounddevice`, without a sound card: a microphone that hears a file at the pace of speech.

When it was played, Enter is pressed: standard input becomes a pipe that has a line then. The callback
comes from a thread of PortAudio's, with a buffer that is gone afterwards; here, too.
"""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self


class RawInputStream:
    """The part of the library's class that examples use."""

    def __init__(
        self, *, samplerate: int, blocksize: int, channels: int, dtype: str, callback: Callable[..., None]
    ) -> None:
        assert (channels, dtype) == (1, "int16")
        self._sound = Path(os.environ["SOUND"]).read_bytes()
        self._pace = blocksize / samplerate
        self._block_bytes = 2 * blocksize
        self._callback = callback
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._play)
        keyboard, self._fingers = os.pipe()
        sys.stdin = os.fdopen(keyboard)

    def _play(self) -> None:
        for at in range(0, len(self._sound), self._block_bytes):
            block = bytearray(self._sound[at : at + self._block_bytes])
            self._callback(memoryview(block), len(block) // 2, None, None)
            block[:] = bytes(len(block))
            if self._stopping.wait(self._pace):
                return
        os.write(self._fingers, b"\n")
        self._stopping.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Nothing is heard behind it."""
        self._stopping.set()
        self._thread.join()
