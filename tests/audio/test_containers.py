"""What README says is read is what is read: each container as FFmpeg or its own specification writes it."""

import io
import re
import struct
from pathlib import Path

import av
import numpy as np
import pytest

from gateway.audio import containers
from gateway.audio.containers import CONTAINERS
from gateway.audio.decode import decode
from gateway.audio.types import SAMPLE_RATE, Samples
from tests.audio.sound import MORE_ENCODINGS, Growing, decode_all, encode
from tests.audio.test_decode import likeness

README = Path(__file__).parents[2] / "README.md"


def eight_bits(samples: Samples) -> bytes:
    """Signed bytes."""
    return np.round(np.clip(samples, -1, 1) * 127).astype(np.int8).tobytes()


def svx(samples: Samples) -> bytes:
    """An Amiga 8SVX file (EA IFF 85)."""
    body = eight_bits(samples)
    header = struct.pack(">IIIHBBI", len(body), 0, 0, SAMPLE_RATE, 1, 0, 0x10000)
    chunks = (
        b"8SVXVHDR" + struct.pack(">I", len(header)) + header + b"BODY" + struct.pack(">I", len(body)) + body
    )
    return b"FORM" + struct.pack(">I", len(chunks)) + chunks


def sphere(samples: Samples) -> bytes:
    """A NIST SPHERE file, as speech corpora have them."""
    fields = {
        "sample_count -i": len(samples),
        "sample_n_bytes -i": 2,
        "channel_count -i": 1,
        "sample_byte_format -s2": "01",
        "sample_rate -i": SAMPLE_RATE,
        "sample_coding -s3": "pcm",
    }
    lines = "".join(f"{name} {value}\n" for name, value in fields.items())
    header = f"NIST_1A\n   1024\n{lines}end_head\n".encode()
    return header.ljust(1024) + np.round(samples * 32_767).astype("<i2").tobytes()


def dsf(samples: Samples) -> bytes:
    """A DSF file: one bit per sample, 2.8 MHz, of a first-order delta-sigma modulator."""
    rate, block = 2_822_400, 4_096
    held = np.repeat(samples[: SAMPLE_RATE // 2], rate // SAMPLE_RATE)
    sums = np.floor(np.cumsum((held.astype(np.float64) + 1) / 2))
    bits = np.diff(sums, prepend=0).astype(np.uint8)
    data = np.packbits(bits, bitorder="little").tobytes()
    data += bytes(-len(data) % block)
    fmt = struct.pack("<4sQIIIIIIQII", b"fmt ", 52, 1, 0, 1, 1, rate, 1, len(bits), block, 0)
    body = fmt + struct.pack("<4sQ", b"data", 12 + len(data)) + data
    return struct.pack("<4sQQQ", b"DSD ", 28, 28 + len(body), 0) + body


HAND_WRITTEN = {"8svx": svx, "dsf": dsf, "sph": sphere}


def test_readme_names_what_is_read() -> None:
    """All endings, and no other."""
    [listed] = re.findall(
        r"^- \*\*Audio\*\*: `([a-z0-9 ]+)`", README.read_text().replace("\n  ", " "), re.MULTILINE
    )

    assert listed.split() == sorted({name for names in CONTAINERS.values() for name in names.split()})


@pytest.mark.parametrize("name", CONTAINERS)
def test_ffmpeg_knows_the_demuxer(name: str) -> None:
    """A wrong name would be no error: FFmpeg would refuse the files."""
    assert name.split(",", maxsplit=1)[0] in av.formats_available


UNWRITABLE = "dca truehd ape mpc7 mpc8 shorten tak dss_sp qcelp evrc ilbc atrac3 cook sipr wmapro dvaudio"


@pytest.mark.parametrize("codec", UNWRITABLE.split())
def test_ffmpeg_knows_the_codec(codec: str) -> None:
    """Of the containers whose files nothing here can write, the codecs are there at least."""
    assert av.Codec(codec, "r").type == "audio"


@pytest.mark.parametrize("source", [io.BytesIO, Growing])
@pytest.mark.parametrize("name", MORE_ENCODINGS)
def test_written_by_ffmpeg(name: str, source: type[io.BytesIO], hello: Samples) -> None:
    """The whole recording, within a frame or two of its codec; while it arrives if its index comes first."""
    encoding = MORE_ENCODINGS[name]
    if encoding.index_last and source is Growing:
        pytest.skip("the index is at the end")

    decoded = np.concatenate(list(decode(source(encode(hello, encoding)), max_seconds=10)))

    assert len(decoded) == pytest.approx(len(hello), abs=2_048)
    # FFmpeg takes off a little more of WMA than it put on.
    assert likeness(hello, np.pad(decoded, (1_000, 0))) > encoding.likeness


@pytest.mark.parametrize("source", [io.BytesIO, Growing])
@pytest.mark.parametrize("name", HAND_WRITTEN)
def test_written_by_hand(name: str, source: type[io.BytesIO], hello: Samples) -> None:
    """What FFmpeg reads but cannot write."""
    decoded = np.concatenate(list(decode(source(HAND_WRITTEN[name](hello)), max_seconds=10)))

    assert likeness(decoded, hello) > 0.95


def test_gsm() -> None:
    """A telephone's frames of 33 bytes and 20 ms."""
    assert len(decode_all((b"\xd0" + bytes(32)) * 100)) == 2 * SAMPLE_RATE


def test_none_of_them_opens_others() -> None:
    """The demuxers that read names out of files are not among them."""
    names = {name for key in CONTAINERS for name in key.split(",")}
    openers = "concat dash hls image2 image2pipe imf lavfi rtp rtsp sap sdp vobsub webm_dash_manifest"

    assert not names & set(openers.split())
    assert containers.refuse_opening.__doc__
