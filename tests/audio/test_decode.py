"""Every format gives the same speech; whatever a stranger sends ends in samples or `InvalidAudioError`."""

import gc
import io
import socket
import struct
import tracemalloc
import weakref
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audio import containers
from gateway.audio.decode import BLOCK, FIRST_BLOCK, FIRST_BLOCKS, decode
from gateway.audio.mono import ToMono
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.errors import InvalidAudioError, InvalidRequestError, UploadTimeoutError
from tests.audio.sound import (
    ENCODINGS,
    MORE_ENCODINGS,
    Encoding,
    Growing,
    add_audio,
    decode_all,
    encode,
    int16,
    packets,
    pictures,
    wav,
)

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer


def likeness(original: Samples, decoded: Samples) -> float:
    """Correlation at the best lag: encoders put a little silence in front."""
    size = len(original) + len(decoded)
    products = np.fft.irfft(np.fft.rfft(decoded, size) * np.conj(np.fft.rfft(original, size)), size)
    lag = int(np.argmax(products[: len(decoded)]))
    n = min(len(original), len(decoded) - lag)
    a, b = original[:n], decoded[lag : lag + n]
    return float(a @ b / np.sqrt((original @ original) * (b @ b)))


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_format(name: str, hello: Samples) -> None:
    """The speech comes out of every container and codec, at every rate and channel count."""
    file = encode(hello, ENCODINGS[name])

    decoded = decode_all(file)

    assert decoded.dtype == np.float32
    # The frames of a codec: up to 128 ms of AAC at 16 kHz are silence around the speech.
    assert len(decoded) == pytest.approx(len(hello), abs=2_048)
    assert likeness(hello, decoded) > ENCODINGS[name].likeness


@pytest.mark.parametrize("name", [name for name, e in ENCODINGS.items() if not e.index_last])
def test_a_growing_file_gives_the_same(name: str, hello: Samples) -> None:
    """Without seeking, exactly the same samples come out, so an upload may be decoded while it arrives."""
    file = encode(hello, ENCODINGS[name])

    growing = np.concatenate(list(decode(Growing(file), max_seconds=10)))

    assert np.array_equal(growing, decode_all(file))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["wav", "flac", "mpga", "mp4", "mp4_fragmented", "ogg", "webm", "aac", "mpeg"]
)
def test_decoding_begins_with_the_first_bytes(name: str, long: Samples) -> None:
    """The first block comes before a third of a 75 s file was read, though the file can seek to its end."""
    file = encode(long, ENCODINGS[name])
    source = io.BytesIO(file)

    blocks = decode(source, max_seconds=100)
    next(blocks)
    read = source.tell()
    blocks.close()

    assert read < max(len(file) / 3, 200_000)


@pytest.mark.parametrize(
    ("container", "video"),
    [("mp4", "mpeg4"), ("matroska", "mpeg4"), ("mpegts", "mpeg2video"), ("mpeg", "mpeg2video")],
)
@pytest.mark.parametrize("source", [io.BytesIO, Growing])
def test_video_with_an_audio_track(
    container: str, video: str, source: type[io.BytesIO], hello: Samples
) -> None:
    """The audio of a video is decoded, whether or not the file has arrived."""
    options = {"movflags": "faststart"} if container == "mp4" else {}
    file = encode(hello, Encoding(container, "mp2", options=options), video=video)

    decoded = np.concatenate(list(decode(source(file), max_seconds=10)))

    assert likeness(hello, decoded) > 0.95


def test_the_name_is_not_trusted(hello: Samples) -> None:
    """A FLAC called .mp3 is a FLAC."""
    source = io.BytesIO(encode(hello, ENCODINGS["flac"]))
    source.name = "speech.mp3"

    assert np.array_equal(np.concatenate(list(decode(source, max_seconds=10))), hello)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 9, 12, 30, 64, 200])
def test_any_channel_count(channels: int, hello: Samples) -> None:
    """Speech in all channels comes out, also of layouts FFmpeg has no name for."""
    decoded = decode_all(wav(int16(np.repeat(hello[:, None], channels, axis=1))))

    assert likeness(hello, decoded) > 0.99


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64])
def test_unnamed_layouts_of_any_sample_format(dtype: type, hello: Samples) -> None:
    """The average of nine channels is the speech, in every way to write samples."""
    scale = 1.0 if np.dtype(dtype).kind == "f" else 2.0 ** (8 * np.dtype(dtype).itemsize - 1)
    shift = 128 if dtype is np.uint8 else 0
    frames: np.ndarray = np.repeat((hello[:, None] * scale * 0.9 + shift).astype(dtype), 9, axis=1)

    assert decode_all(wav(frames)) == pytest.approx(0.9 * hello, abs=0.01)


@pytest.mark.parametrize("channels", [9, 12, 42])
def test_planes_of_many_channels(channels: int, hello: Samples) -> None:
    """Opus of more channels than eight comes in planes, which PyAV reads beyond their end; we do not."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        options = {"mapping_family": "255"}
        layout = f"{channels} channels"
        audio = container.add_stream("libopus", rate=48_000, layout=layout, options=options)
        for i in range(90):
            frame = AudioFrame(format="flt", layout=layout, samples=960)
            frame.sample_rate, frame.pts = 48_000, i * 960
            third = np.repeat(hello[i * 320 : i * 320 + 320], 3)
            frame.planes[0].update(np.repeat(third[:, None], channels, axis=1).tobytes())
            container.mux(audio.encode(frame))
        container.mux([packet for packet in audio.encode(None) if packet.size])

    assert likeness(hello[:28_800], decode_all(file.getvalue())) > 0.9


def test_planes_of_too_many_channels_are_skipped() -> None:
    """More than 64 in planes are beyond FFmpeg's converter: no samples, and no crash."""
    frame = AudioFrame(format="fltp", layout="100 channels", samples=960)
    frame.sample_rate = 48_000

    assert ToMono().feed(frame) == []


@pytest.mark.parametrize("rate", [4_000, 11_025, 22_050, 192_000])
def test_any_rate(rate: int) -> None:
    """A tone keeps its pitch and a second its length."""
    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32)

    decoded = decode_all(wav(int16(tone), rate))

    assert len(decoded) == pytest.approx(SAMPLE_RATE, abs=20)
    assert np.argmax(np.abs(np.fft.rfft(decoded[:SAMPLE_RATE]))) == pytest.approx(440, abs=1)


def test_parameters_may_change_on_the_way(hello: Samples) -> None:
    """Recordings of different rates and channel counts, one behind the other, are all decoded whole."""
    mono = encode(hello, Encoding("adts", "aac"))
    stereo = encode(hello, Encoding("adts", "aac", 44_100, "stereo"))

    decoded = decode_all(mono + stereo + mono)

    parts = np.split(decoded, [len(decode_all(mono)), len(decode_all(mono)) + len(decode_all(stereo))])
    assert [likeness(hello, part) > 0.95 for part in parts] == [True, True, True]
    assert len(decoded) == pytest.approx(2 * len(decode_all(mono)) + len(decode_all(stereo)), abs=2_000)


def garbage(container: "OutputContainer", seconds: int) -> list["av.Packet[Any]"]:
    """A track that claims to be Opus and is not."""
    stream = add_audio(container, Encoding("matroska", "libopus", 48_000))
    broken = []
    for i in range(50 * seconds):
        packet = av.Packet(b"\xff" * 40)
        packet.stream, packet.time_base = stream, Fraction(1, 50)
        packet.pts = packet.dts = i
        broken.append(packet)
    return broken


def test_the_first_audio_track_that_decodes(hello: Samples) -> None:
    """A track of garbage does not hide the sound one behind it."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        tracks = garbage(container, 2)
        tracks += packets(hello, add_audio(container, Encoding("matroska", "flac")))
        container.mux(tracks)

    assert likeness(hello, decode_all(file.getvalue())) > 0.99


def test_tracks_of_garbage_only() -> None:
    """However many there are, they are not tried for ever."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        tracks = [garbage(container, 1) for _ in range(12)]
        container.mux([packet for track in tracks for packet in track])

    with pytest.raises(InvalidAudioError, match="Supported formats"):
        decode_all(file.getvalue())


@pytest.mark.parametrize("name", ["flac", "mp3", "aac", "ogg", "webm", "mpegts"])
def test_damage_is_skipped(name: str, hello: Samples) -> None:
    """A hole in the middle costs what was in it, not the rest."""
    speech = np.tile(hello, 5)
    file = bytearray(encode(speech, ENCODINGS[name]))
    middle = len(file) // 2
    file[middle : middle + 200] = bytes(200)

    decoded = decode_all(bytes(file))

    assert len(decoded) > 0.8 * len(speech)
    assert likeness(hello, decoded[-len(hello) - 2_000 :]) > 0.9


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"R",
        b"This is a text, called speech.mp3.\n" * 500,
        b"<!doctype html><title>404</title>" * 100,
        bytes(100_000),
        b"\xff" * 100_000,
        np.random.default_rng(7).bytes(100_000),
        wav(np.zeros(0, dtype=np.int16)),
        wav(np.zeros(9_000, dtype=np.int16), rate=1),
        wav(np.zeros(9_000, dtype=np.int16), rate=900_000),
    ],
    ids=["empty", "byte", "text", "html", "zeros", "ones", "noise", "no_samples", "1_hz", "900_khz"],
)
@pytest.mark.parametrize("source", [io.BytesIO, Growing])
def test_what_is_no_audio(file: bytes, source: type[io.BytesIO]) -> None:
    """Anything without samples is refused with the formats that are not."""
    with pytest.raises(InvalidAudioError, match=r"Supported formats: \['flac'") as caught:
        list(decode(source(file), max_seconds=10_000))

    assert (caught.value.status, caught.value.param) == (400, "file")


def test_video_without_audio() -> None:
    """A silent film is no audio."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        container.mux(list(pictures(container, "mpeg4", 1.0)))

    with pytest.raises(InvalidAudioError, match="Supported formats"):
        decode_all(file.getvalue())


def test_the_shortest_recording() -> None:
    """0.1 s is enough and anything shorter is refused, as OpenAI does."""
    assert len(decode_all(wav(np.zeros(1_600, dtype=np.int16)))) == 1_600
    with pytest.raises(InvalidAudioError, match=r"Minimum audio length is 0\.1 seconds") as caught:
        decode_all(wav(np.zeros(1_599, dtype=np.int16)))

    assert caught.value.code == "audio_too_short"


@pytest.mark.parametrize("name", ["m4a", "mp4"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
@pytest.mark.parametrize("source", [io.BytesIO, Growing])
def test_a_cut_mp4_is_refused(name: str, share: float, source: type[io.BytesIO], hello: Samples) -> None:
    """Whether its index is first or last, an mp4 that lacks its end is an error, not a shorter recording."""
    file = encode(np.tile(hello, 4), ENCODINGS[name])

    with pytest.raises(InvalidAudioError, match="Supported formats"):
        list(decode(source(file[: int(share * len(file))]), max_seconds=100))


@pytest.mark.parametrize("name", ["wav", "flac", "mp3", "ogg", "webm"])
def test_other_containers_may_end_anywhere(name: str, hello: Samples) -> None:
    """What a live recorder left behind when it was killed is decoded up to its end."""
    speech = np.tile(hello, 4)
    file = encode(speech, ENCODINGS[name])

    decoded = decode_all(file[: len(file) // 2])

    assert len(decoded) == pytest.approx(len(speech) / 2, rel=0.3)


def test_blocks_are_bounded(long: Samples) -> None:
    """One second at first, that a chunk can be cut early, then five."""
    file = encode(long, ENCODINGS["flac"])

    lengths = [len(block) for block in decode(io.BytesIO(file), max_seconds=100)]

    assert lengths[:FIRST_BLOCKS] == [FIRST_BLOCK] * FIRST_BLOCKS
    assert set(lengths[FIRST_BLOCKS:-1]) == {BLOCK}
    assert sum(lengths) == len(long)


def test_the_longest_recording(hello: Samples) -> None:
    """A recording of just the limit passes, one sample more does not."""
    seconds = len(hello) / SAMPLE_RATE
    file = encode(hello, ENCODINGS["flac"])

    assert len(decode_all(file, seconds)) == len(hello)
    with pytest.raises(InvalidAudioError, match=r"Maximum audio length is 1\.8 seconds") as caught:
        decode_all(file, 1.8)

    assert caught.value.code == "audio_too_long"


@pytest.mark.slow
def test_hours_of_silence_hit_the_limit_at_once() -> None:
    """Two hours of Opus in 1.6 MB: the limit stops the decoding, and their samples are never held."""
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = add_audio(container, Encoding("ogg", "libopus", 48_000))
        silence = bytes(next(packets(np.zeros(SAMPLE_RATE, dtype=np.float32), stream)))
        for i in range(2 * 3_600 * 50):
            packet = av.Packet(silence)
            packet.stream, packet.pts, packet.dts, packet.duration = stream, i * 960, i * 960, 960
            packet.time_base = Fraction(1, 48_000)
            container.mux(packet)
    source = io.BytesIO(file.getvalue())
    assert len(file.getvalue()) < 2_000_000

    tracemalloc.start()
    try:
        with pytest.raises(InvalidAudioError, match="Maximum audio length is 60 seconds"):
            list(map(len, decode(source, max_seconds=60)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert source.tell() < len(file.getvalue()) / 10
    assert peak < 3_000_000


def test_garbage_in_float_files_stays_out() -> None:
    """NaN and infinity, which would stay in a recurrent model for good, never come out."""
    samples = np.zeros(SAMPLE_RATE, dtype=np.float32)
    samples[[100, 200, 300]] = [np.nan, np.inf, 1e38]

    for rate in (SAMPLE_RATE, 44_100):
        nine = np.repeat(samples[:, None], 9, axis=1)
        nine[200, 3] = -np.inf
        double = nine.astype(np.float64)
        double[400] = 1e308
        for frames in (samples, nine, double):
            decoded = decode_all(wav(frames, rate))
            assert np.isfinite(decoded).all()
            assert np.abs(decoded).max() <= 32_768


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("garbage", [np.nan, np.inf, -np.inf, 1e30])
def test_garbage_hides_no_speech(garbage: float, times: int, hello: Samples) -> None:
    """It is left out, and what is beside it stays as loud as it was."""
    spoilt = np.repeat(hello, times)
    spoilt[[5_000, 9_000]] = garbage

    decoded = decode_all(wav(spoilt, times * SAMPLE_RATE))

    assert np.abs(decoded).max() <= 1.1 * np.abs(hello).max()
    assert likeness(hello, decoded) > 0.95


def test_tags_are_not_read(hello: Samples) -> None:
    """Tags in Latin-1, and a cover picture larger than what is probed, change nothing."""
    name = "Café".encode("latin-1") + b"\0"
    tagged = wav(int16(hello), tags=b"INFOINAM" + len(name).to_bytes(4, "little") + name + b"\0")
    assert np.array_equal(decode_all(tagged), decode_all(wav(int16(hello))))

    mp3 = encode(hello, ENCODINGS["mp3"])
    picture = b"\0image/jpeg\0\3\0" + bytes(500_000)
    frame = b"APIC" + len(picture).to_bytes(4, "big") + b"\0\0" + picture
    size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    assert likeness(hello, decode_all(b"ID3\3\0\0" + size + frame + mp3)) > 0.95


@pytest.mark.parametrize("size", [1, 333])
def test_a_slow_source(size: int, hello: Samples) -> None:
    """However few bytes each read gives, the samples are the same."""

    class Slow(Growing):
        def read(self, _: int | None = -1, /) -> bytes:
            return super().read(size)

    file = encode(hello, ENCODINGS["ogg"])

    assert np.array_equal(np.concatenate(list(decode(Slow(file), max_seconds=10))), decode_all(file))


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_errors_of_the_source_pass_through(share: float, hello: Samples) -> None:
    """A client that stops sending is told so; its error is not taken for a broken file."""
    file = encode(hello, ENCODINGS["wav"])

    class Stopped(Growing):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= share * len(file):
                raise UploadTimeoutError("The body stopped half-way.")
            return super().read(size)

    with pytest.raises(UploadTimeoutError, match="half-way"):
        list(decode(Stopped(file), max_seconds=10))


def test_closing_lets_go_of_the_source(long: Samples) -> None:
    """Whoever stops in between leaves no container and no file behind."""
    source = io.BytesIO(encode(long, ENCODINGS["webm"]))
    kept = weakref.ref(source)
    blocks = decode(source, max_seconds=100)
    next(blocks)
    blocks.close()

    del source
    gc.collect()

    assert kept() is None


def test_playlists_open_nothing(hello: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No text format makes the server read a file or call an address it names."""
    secret = tmp_path / "secret.wav"
    secret.write_bytes(encode(hello, ENCODINGS["wav"]))
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        addresses = (f"http://127.0.0.1:{port}/a.wav", f"tcp://127.0.0.1:{port}")
        for target in ("secret.wav", str(secret), f"file://{secret}", *addresses):
            texts = [
                f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n",
                f"ffconcat version 1.0\nfile '{target}'\n",
                f"[playlist]\nFile1={target}\nNumberOfEntries=1\n",
                f"RTSPtext\r\n{target}\n",
                f"<MPD><Period><AdaptationSet mimeType='audio/mp4'><BaseURL>{target}</BaseURL></MPD>",
                f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n",
            ]
            for source in (kind(text.encode()) for text in texts for kind in (io.BytesIO, Growing)):
                with pytest.raises(InvalidAudioError):
                    list(decode(source, max_seconds=10))

        with pytest.raises(BlockingIOError):
            listener.accept()

    # The attack is real: left to itself, FFmpeg opens what a concat script names.
    with av.open(io.BytesIO(b"ffconcat version 1.0\nfile 'secret.wav'\n"), "r") as container:
        assert len(container.streams.audio) == 1


def test_an_mp4_may_not_keep_its_data_elsewhere(hello: Samples, tmp_path: Path) -> None:
    """An mp4 whose index points into another file of this machine does not get that file transcribed."""
    whole = encode(hello, ENCODINGS["m4a_alac"])
    secret = tmp_path / "secret.m4a"
    secret.write_bytes(whole)
    hostile = _refer_to(secret, whole)

    with pytest.raises(InvalidAudioError):
        decode_all(hostile)

    # The attack is real: FFmpeg follows the reference when it is allowed to.
    options = {"enable_drefs": "1", "use_absolute_path": "1"}
    with av.open(io.BytesIO(hostile), "r", container_options=options) as container:
        stolen = sum(frame.samples for frame in container.decode(container.streams.audio[0]))
    assert stolen == pytest.approx(len(hello), abs=5_000)


def test_each_guard_suffices(hello: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a playlist format let in by mistake, FFmpeg's attempt to open what it names would still fail."""
    (tmp_path / "secret.wav").write_bytes(encode(hello, ENCODINGS["wav"]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(containers, "CONTAINERS", {**containers.CONTAINERS, "concat": "", "hls": ""})

    for text in (b"ffconcat version 1.0\nfile 'secret.wav'\n", b"#EXTM3U\n#EXTINF:9,\nsecret.wav\n"):
        with pytest.raises(InvalidAudioError):
            decode_all(text)


def test_the_last_guard_suffices(hello: Samples) -> None:
    """Even with every format and protocol allowed, what would open further files says no."""
    playlist = io.BytesIO(b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.wav\n#EXT-X-ENDLIST\n")

    with pytest.raises(PermissionError, match="may not refer to other files"):
        av.open(playlist, "r", format="hls", io_open=containers.refuse_opening)


class Stumbling:
    """A container whose demuxer fails each time it is asked."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.asked = 0

    def demux(self, streams: object) -> list[object]:
        """Fails."""
        self.asked += 1
        raise self._error


@pytest.mark.parametrize(
    ("error", "asked"), [(av.error.InvalidDataError(1, "damaged"), 16), (IndexError("PyAV's own"), 1)]
)
def test_a_demuxer_that_only_fails(error: Exception, asked: int) -> None:
    """It is asked again a few times, for there may be sound data behind the damage, but not for ever."""
    container = Stumbling(error)

    assert list(containers.frames(cast("InputContainer", container), [], lambda _: True)) == []
    assert container.asked == asked


def _refer_to(secret: Path, whole: bytes) -> bytes:
    """The m4a with its data zeroed and its data reference turned into an alias of ``secret``."""
    mdat = whole.index(b"mdat") - 4
    size = int.from_bytes(whole[mdat : mdat + 4], "big")
    emptied = whole[: mdat + 8] + bytes(size - 8) + whole[mdat + size :]
    path = str(secret).encode()
    path += b"\0" * (len(path) % 2)
    # An alias record as FFmpeg's mov_read_dref takes it apart: volume, file name, then its path as item 2.
    alias = bytes(10) + b"\1v" + bytes(26) + bytes(12) + b"\1f" + bytes(62) + bytes(16)
    alias += struct.pack(">hh", -1, -1) + bytes(16)
    alias += struct.pack(">hH", 2, len(path)) + path + struct.pack(">hH", -1, 0)
    entry = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    old = struct.pack(">I4sI", 12, b"url ", 1)
    at = emptied.index(old)
    patched = bytearray(emptied[:at] + entry + emptied[at + len(old) :])
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        start = patched.index(box, mdat + size) - 4
        grown = int.from_bytes(patched[start : start + 4], "big") + len(entry) - len(old)
        patched[start : start + 4] = grown.to_bytes(4, "big")
    return bytes(patched)


@pytest.fixture(scope="module")
def small_files(hello: Samples) -> list[bytes]:
    """A fifth of a second in every format, and two of them joined."""
    short = hello[8_000:11_200]
    files = [encode(short, encoding) for encoding in {**ENCODINGS, **MORE_ENCODINGS}.values()]
    return [*files, files[0] * 2, *(file * 2 for file in files[-3:])]


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
@pytest.mark.promise("broken recordings are refused, none crashes the decoder")
def test_fuzz(data: st.DataObject, small_files: list[bytes]) -> None:
    """Any bytes give finite samples within the limit, or `InvalidAudioError`."""
    file = bytearray(data.draw(st.sampled_from(small_files)))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(file) - 1))
        file[at : at + data.draw(st.integers(1, 4))] = data.draw(st.binary(max_size=4))
        file = file or bytearray(1)
    source = data.draw(st.sampled_from([io.BytesIO, Growing]))

    try:
        decoded = np.concatenate(list(decode(source(bytes(file)), max_seconds=5)))
    except InvalidAudioError:
        return

    assert np.isfinite(decoded).all()
    assert SAMPLE_RATE // 10 <= len(decoded) <= 5 * SAMPLE_RATE


def _channels(count: int) -> bytes:
    """A WAV file of so many constants, one for each channel."""
    return wav(int16(np.tile(np.linspace(0.1, 0.8, count, dtype=np.float32), (SAMPLE_RATE, 1))))


@pytest.mark.parametrize("count", [2, 3, 8])
def test_channels_apart(count: int) -> None:
    """Each stays what it is, in its place."""
    blocks = list(decode(io.BytesIO(_channels(count)), max_seconds=10, channels=2))

    assert np.allclose(np.concatenate(blocks), np.linspace(0.1, 0.8, count), atol=1e-3)


@pytest.mark.parametrize(
    ("count", "least", "param"),
    [(1, 0, "channels"), (9, 0, "channels"), (2, 3, "known_speaker_names")],
)
def test_channels_that_are_not_there(count: int, least: int, param: str) -> None:
    """One is nobody's alone, many are no conversation, and each name needs one."""
    with pytest.raises(InvalidRequestError) as caught:
        list(decode(io.BytesIO(_channels(count)), max_seconds=10, channels=least))

    assert caught.value.param == param


def test_channels_that_change_on_the_way() -> None:
    """Of joined recordings the second may have fewer channels, which are silent then, but not more."""
    fewer = np.concatenate(list(decode(io.BytesIO(_channels(3) + _channels(2)), max_seconds=10, channels=2)))
    assert fewer.shape[1] == 3
    assert not fewer[-100:, 2].any()
    with pytest.raises(InvalidRequestError, match="later on"):
        list(decode(io.BytesIO(_channels(2) + _channels(3)), max_seconds=10, channels=2))
