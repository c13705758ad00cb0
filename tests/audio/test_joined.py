"""WAVs as programs write them, and recordings one after the other: nothing is lost, nothing is added."""

import io
import struct
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from gateway.audio.decode import decode
from gateway.audio.joined import Recordings
from gateway.audio.types import SAMPLE_RATE, Samples
from tests.audio.sound import ENCODINGS, MORE_ENCODINGS, Encoding, Growing, decode_all, encode, int16, wav
from tests.audio.test_decode import likeness


class Dripping(Growing):
    """A file that arrives in small reads."""

    step = 1

    def read(self, size: int | None = -1, /) -> bytes:
        """So many bytes at most."""
        return super().read(min(self.step, size or 0))


def chunk(name: bytes, data: bytes, *, padded: bool = True) -> bytes:
    """A RIFF chunk."""
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2 if padded else 0)


def riff(*chunks: bytes) -> bytes:
    """A WAV of these chunks."""
    return b"RIFF" + struct.pack("<I", 4 + sum(map(len, chunks))) + b"WAVE" + b"".join(chunks)


def fmt(channels: int = 1, bits: int = 16) -> bytes:
    """The format chunk of plain samples."""
    width = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", 1, channels, SAMPLE_RATE, SAMPLE_RATE * width, width, bits))


def with_size(file: bytes, size: int) -> bytes:
    """The WAV with another length of its samples."""
    at = file.index(b"data") + 4
    return file[:at] + struct.pack("<I", size) + file[at + 4 :]


@pytest.mark.parametrize("name", ["LIST", "bext", "note"])
@pytest.mark.parametrize("length", [1, 7, 1_001, 200_001])
@pytest.mark.parametrize("padded", [True, False])
def test_odd_chunks(name: str, length: int, padded: bool, hello: Samples) -> None:  # noqa: FBT001
    """With and without their padding, before the samples and after them."""
    odd = chunk(name.encode(), b"\1" * length, padded=padded)
    data = chunk(b"data", int16(hello).tobytes())

    assert np.array_equal(decode_all(riff(odd, fmt(), odd, data, odd)), decode_all(wav(int16(hello))))


@pytest.mark.parametrize("used", [16, 20, 24])
def test_samples_of_32_bits_that_are_not_all_in_use(used: int, hello: Samples) -> None:
    """As sound cards give them: the upper bits count."""
    samples = (np.round(hello * 2.0 ** (used - 1)).astype(np.int32) << (32 - used)).astype("<i4")
    plain = struct.pack("<HHIIHH", 0xFFFE, 1, SAMPLE_RATE, 4 * SAMPLE_RATE, 4, 32)
    guid = bytes.fromhex("0100000000001000800000aa00389b71")
    extended = plain + struct.pack("<HHI", 22, used, 4) + guid

    decoded = decode_all(riff(chunk(b"fmt ", extended), chunk(b"data", samples.tobytes())))

    assert np.allclose(decoded, hello, atol=2.0 ** (1 - used))


@pytest.mark.parametrize("padded", [True, False])
def test_an_odd_number_of_bytes_of_samples(padded: bool, hello: Samples) -> None:  # noqa: FBT001
    """Eight bits, an odd number, notes after them."""
    samples = np.round(hello[:20_001] * 127 + 128).astype(np.uint8)
    file = riff(fmt(bits=8), chunk(b"data", samples.tobytes(), padded=padded), chunk(b"LIST", b"INFO"))

    assert np.array_equal(decode_all(file), decode_all(wav(samples)))


@pytest.mark.parametrize("size", [0, 1_000, 0x7FFFF000, 0xFFFFFFFF, 0xFFFFFFFF - 44, 1 << 30])
@pytest.mark.parametrize("source", [io.BytesIO, Growing])
def test_lengths_that_are_not_true(size: int, source: type[io.BytesIO], hello: Samples) -> None:
    """What a pipe or a killed recorder leaves is read to its end."""
    file = with_size(wav(int16(hello)), size)

    assert np.array_equal(np.concatenate(list(decode(source(file), max_seconds=10))), hello)


def test_notes_after_the_samples_are_not_sound(hello: Samples) -> None:
    """Where the length is true."""
    file = wav(int16(hello)) + chunk(b"id3 ", np.random.default_rng(0).bytes(50_000))

    assert np.array_equal(decode_all(file), hello)


JOINED = (
    "aac ac3 aiff amr au caf eac3 flac flv mkv mp3 mp4 mp4_fragmented mpeg mpegts mpga ogg opus tta vorbis "
    "wav webm wma"
).split()


@pytest.mark.parametrize("name", JOINED)
@pytest.mark.parametrize("source", [io.BytesIO, Growing])
def test_two_recordings_joined(name: str, source: type[io.BytesIO], long: Samples, hello: Samples) -> None:
    """Both are whole, the second where the first one ends; encoders leave a little silence at the joint."""
    encoding = {**ENCODINGS, **MORE_ENCODINGS}[name]
    first = long[: 4 * SAMPLE_RATE]
    file = encode(first, encoding) + encode(hello, encoding)

    decoded = np.concatenate(list(decode(source(file), max_seconds=20)))

    assert len(decoded) == pytest.approx(len(first) + len(hello), abs=4 * 1_024)
    decoded = np.pad(decoded, (1_000, 0))  # FFmpeg takes off a little more of WMA than it put on
    assert likeness(first, decoded[: len(first) + 3_000]) > encoding.likeness
    assert likeness(hello, decoded[len(first) - 500 :]) > encoding.likeness


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_piped_wavs_joined(size: int, hello: Samples) -> None:
    """Neither says how long it is."""
    one = with_size(wav(int16(hello)), size)

    assert np.array_equal(decode_all(one + one + one), np.tile(hello, 3))


def test_wavs_of_different_kinds_joined(hello: Samples) -> None:
    """Each has its own rate and channels."""
    stereo = np.repeat(np.repeat(hello, 3)[:, None], 2, axis=1)

    decoded = decode_all(wav(int16(stereo), 48_000) + wav(int16(hello)))

    assert len(decoded) == 2 * len(hello)
    assert likeness(hello, decoded[: len(hello)]) > 0.95
    assert np.array_equal(decoded[len(hello) :], hello)


MKA_AAC = Encoding("matroska", "aac", 44_100)

OTHERS = {
    "ogg opus, then stereo": ("ogg", replace(ENCODINGS["ogg"], layout="stereo")),
    "ogg vorbis, then 48 kHz": ("vorbis", replace(ENCODINGS["vorbis"], rate=48_000)),
    "ogg opus, then vorbis": ("ogg", ENCODINGS["vorbis"]),
    "ogg vorbis, then opus": ("vorbis", ENCODINGS["ogg"]),
    "ogg flac, then 48 kHz": ("oga", replace(ENCODINGS["oga"], rate=48_000)),
    "webm opus, then vorbis": ("webm", replace(ENCODINGS["vorbis"], container="webm")),
    "mkv aac, then 48 kHz": ("mka_aac", replace(MKA_AAC, rate=48_000)),
    "mkv aac, then opus": ("mka_aac", MORE_ENCODINGS["mka"]),
}
"""What a recording begins as, and how it goes on."""


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("source", [io.BytesIO, Growing])
def test_recordings_of_different_codecs_joined(
    name: str, source: type[io.BytesIO], long: Samples, hello: Samples
) -> None:
    """The first one's header says nothing about the second."""
    one, other = OTHERS[name]
    encoding = {**ENCODINGS, "mka_aac": MKA_AAC}[one]
    first = long[: 4 * SAMPLE_RATE]
    file = encode(first, encoding) + encode(hello, other)

    decoded = np.concatenate(list(decode(source(file), max_seconds=20)))

    assert len(decoded) == pytest.approx(len(first) + len(hello), abs=4 * 1_024)
    assert likeness(first, decoded[: len(first) + 3_000]) > 0.95
    assert likeness(hello, decoded[len(first) - 500 :]) > 0.95


@pytest.mark.parametrize("name", ["ogg", "webm", "flv", "mp4_fragmented"])
def test_nothing_waits_that_begins_no_recording(name: str, hello: Samples) -> None:
    """All of a live recording that came is read before more is asked for."""
    file = encode(hello, ENCODINGS[name])
    came = bytearray()
    read = bytearray()

    class Live(Growing):
        """Notes what came and was not read when the next bytes are asked for."""

        def read(self, size: int | None = -1, /) -> bytes:
            waiting.append(len(came) - len(read))
            data = super().read(min(333, size or 0))
            came.extend(data)
            return data

    waiting = list[int]()
    recordings = Recordings(Live(file))
    while data := recordings.read(4_096):
        read += data

    assert read == file
    assert sum(waiting[3:]) < len(waiting)


@pytest.mark.parametrize("build", [lambda a: wav(int16(a)), lambda a: encode(a, ENCODINGS["aiff"])])
@pytest.mark.parametrize("step", [1, 2, 15, 17, 4_095])
def test_small_reads(build: Callable[[Samples], bytes], step: int, hello: Samples) -> None:
    """However a file arrives, the same comes out."""
    file = build(hello[8_000:12_000]) + with_size(wav(int16(hello[:3_000])), 0)
    source = Dripping(file)
    source.step = step

    decoded = np.concatenate(list(decode(source, max_seconds=10)))

    assert np.array_equal(decoded, decode_all(file))


def test_what_is_none_of_them_comes_out_as_it_is() -> None:
    """Byte for byte, and once."""
    data = np.random.default_rng(0).bytes(100_001)
    recordings = Recordings(Growing(data))

    read = b"".join(iter(lambda: recordings.read(777), b""))

    assert read == data
    assert not recordings.advance()


@pytest.mark.parametrize("cut", range(0, 60, 3))
def test_a_header_that_ends(cut: int) -> None:
    """No header is too short to be handled."""
    recordings = Recordings(Growing(wav(np.zeros(8, "<i2"))[:cut]))

    assert len(b"".join(iter(lambda: recordings.read(5), b""))) <= cut + 12
    assert not recordings.advance()
