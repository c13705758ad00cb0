"""What a header says of the length, where it says something, and never at the cost of the recording."""

import io

import pytest

from gateway.audio.length import announced_seconds
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
