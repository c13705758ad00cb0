"""What a header says of the length, where it says something, and never at the cost of the recording."""

import io
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from gateway.audio.length import announced_seconds, packets_seconds
from gateway.audio.types import SAMPLE_RATE
from gateway.errors import GatewayError
from tests.audio.sound import ENCODINGS, encode
from tests.support import Sample


def test_a_recording(samples: dict[str, Sample]) -> None:
    """Its length, from wherever the file stands; it stands there afterwards."""
    sample = samples["en_hello"]
    file = io.BytesIO(sample.path.read_bytes())

    assert announced_seconds(file) == pytest.approx(sample.duration, abs=0.01)
    assert file.tell() == 0


@pytest.mark.parametrize(
    "data", [b"", b"no audio", b"#EXTM3U\n#EXTINF:10,\n/etc/passwd\n", b"RIFF\xff\xff\xff\xffWAVE"]
)
def test_what_is_no_recording(data: bytes) -> None:
    """Nothing, and no error."""
    file = io.BytesIO(data)

    assert announced_seconds(file) is None
    assert file.tell() == 0


@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_packets_add_up(name: str) -> None:
    """What the packets last is what is decoded, to a packet or two."""
    samples = np.random.default_rng(0).normal(0, 0.05, SAMPLE_RATE * 20).astype(np.float32)
    seconds = packets_seconds(io.BytesIO(encode(samples, ENCODINGS[name])))

    assert seconds == pytest.approx(20, abs=0.3)


@pytest.mark.parametrize("content", [b"", b"no audio at all" * 100])
def test_no_packets(content: bytes) -> None:
    """What is no recording has no length."""
    assert packets_seconds(io.BytesIO(content)) is None


@cache
def _noise(name: str) -> bytes:
    samples = np.random.default_rng(0).normal(0, 0.05, SAMPLE_RATE * 20).astype(np.float32)
    return encode(samples, ENCODINGS[name])


class Dropped(io.BytesIO):
    """An upload whose client leaves after some reads."""

    def __init__(self, data: bytes, reads: int) -> None:
        super().__init__(data)
        self._left = reads

    def read(self, size: int | None = -1, /) -> bytes:
        """Some of it, or what is raised in a thread that still reads."""
        self._left -= 1
        if self._left < 0:
            raise GatewayError("The upload is closed.")
        return super().read(min(size or 4096, 4096))


@pytest.mark.parametrize("name", ["mkv", "mp4", "mpegts", "ogg", "mp3"])
@pytest.mark.parametrize("measure", [packets_seconds, announced_seconds])
@pytest.mark.parametrize("reads", [0, 1, 2, 5, 20])
def test_an_upload_that_is_dropped(
    name: str, measure: Callable[[Dropped], float | None], reads: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """Has no length, and nothing is written to the log by the library that was reading."""
    seconds = measure(Dropped(_noise(name), reads))

    assert capfd.readouterr().err == ""
    assert reads or seconds is None
