"""What waits can be released, from a thread's point of view too; what is a file is one."""

import os
import threading
from pathlib import Path

import pytest

from gateway.cli.inputs import WaitingSource, open_recording, unreadable
from gateway.errors import GatewayError
from tests.support import Sample


def test_a_pipe_gives_what_there_is() -> None:
    """At most what is asked for, without waiting for more, and nothing at the end."""
    out, into = os.pipe()
    source = WaitingSource(out)
    os.write(into, b"abcdef")
    first, second = source.read(4), source.read(4)
    os.close(into)

    assert (first, second, source.read(4)) == (b"abcd", b"ef", b"")
    assert not source.seekable()
    source.close()


def test_a_waiting_read_is_stopped() -> None:
    """However long nothing comes; and so is each one after it."""
    out, into = os.pipe()
    source = WaitingSource(out)
    told: list[str] = []

    def read() -> None:
        try:
            source.read(1)
        except GatewayError as error:
            told.append(error.message)

    thread = threading.Thread(target=read)
    thread.start()
    source.stop()
    thread.join(10)
    source.stop()

    assert len(told) == 1
    with pytest.raises(GatewayError):
        source.read(1)
    source.close()
    os.close(into)


def test_a_file(samples: dict[str, Sample]) -> None:
    """It can be sought in, and tells a length without having moved."""
    with open_recording(str(samples["en_hello"].path)) as recording:
        assert recording.source.tell() == 0
        assert recording.source.ended
        assert recording.announced == pytest.approx(samples["en_hello"].duration, abs=0.01)


@pytest.mark.parametrize("name", ["", "nowhere", "."])
def test_what_cannot_be_opened(tmp_path: Path, name: str) -> None:
    """It is the system that says why; no descriptor is left open."""
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  names are enough
    with pytest.raises(OSError, match=r"No such file|Is a directory"):
        open_recording(str(tmp_path / "x" / name) if name == "nowhere" else name)

    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_an_empty_file_is_told_before_anything_is_loaded(tmp_path: Path, samples: dict[str, Sample]) -> None:
    """A pipe may still get something; a file does not."""
    empty, pipe = tmp_path / "empty.wav", tmp_path / "pipe"
    empty.touch()
    os.mkfifo(pipe)

    assert unreadable(str(empty)) == "The file is empty"
    assert unreadable(str(pipe)) is None
    assert unreadable(str(samples["en_hello"].path)) is None
