"""The whole audio half on real speech: every word in one chunk, whatever level, slices and length."""

import io
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from gateway.audio.blocks import BlockWalk
from gateway.audio.chunker import Chunker
from gateway.audio.chunking import ChunkingOptions, decode_as, make_cutter
from gateway.audio.loudness import TARGET_LUFS, measure
from gateway.audio.silero import FRAME, SileroModel
from gateway.audio.types import MAX_CHUNK_SAMPLES, SAMPLE_RATE, Chunk, Piece, Samples
from gateway.audio.vad import Onset, Vad, VadOptions
from gateway.errors import InvalidAudioError
from tests.audio.sound import ENCODINGS, at_level, cuts, decode_all, edges, encode, int16, load, wav
from tests.support import Sample, load_samples

Plan = list[tuple[int, int, bool, tuple[Piece, ...]]]


PAUSES = ChunkingOptions(max_pause=1.5)
"""So that a minute of the samples is more than one window."""


def cut(
    model: SileroModel, samples: Samples, size: int | None = None, options: ChunkingOptions = PAUSES
) -> list[Chunk]:
    """The chunks of a stream, fed in pieces."""
    cutter = make_cutter(model, options)
    pieces = [cutter.feed(piece) for piece in cuts(samples, size or len(samples))]
    return [chunk for piece in pieces for chunk in piece] + cutter.flush()


def plan(chunks: list[Chunk]) -> Plan:
    """All of the chunks but their samples."""
    return [(c.start, c.end, c.ends_utterance, c.pieces) for c in chunks]


def words(sample: Sample) -> list[tuple[int, int]]:
    """Start and end of each spoken word, in samples."""
    return [
        (int(word["start"] * SAMPLE_RATE), int(word["end"] * SAMPLE_RATE))
        for utterance in sample.utterances
        for word in utterance["words"]
    ]


@pytest.mark.parametrize("name", load_samples())
@pytest.mark.parametrize("dbfs", [None, -40, -14])
def test_every_word_lies_in_one_piece(
    name: str, dbfs: float | None, model: SileroModel, samples: dict[str, Sample]
) -> None:
    """As recorded, very quiet and loud: no word is lost, halved or doubled; noise gives no chunk."""
    sample = samples[name]
    recording = load(sample.path)

    chunks = cut(model, recording if dbfs is None else at_level(recording, dbfs))

    pieces = [piece for chunk in chunks for piece in chunk.pieces]
    homes = [sum(p.start <= start and end <= p.end for p in pieces) for start, end in words(sample)]
    assert homes == [1] * len(homes)
    assert bool(chunks) == bool(homes)


@pytest.mark.parametrize("name", [name for name, sample in load_samples().items() if sample.utterances])
def test_the_level_does_not_move_the_cuts(name: str, model: SileroModel, samples: dict[str, Sample]) -> None:
    """At -40 and -14 dBFS chunks begin within three frames of each other; quiet ones are lifted.

    So does the last one end. How far a full one reaches beyond the next one's beginning is what all of its
    pauses leave.

    Silero also hears the samples as recorded, at which level it may end speech a frame or three later.
    """
    recording = load(samples[name].path)

    quiet, loud = (cut(model, at_level(recording, dbfs), options=ChunkingOptions()) for dbfs in (-40, -14))

    assert len(quiet) == len(loud)
    assert quiet[-1].end == pytest.approx(loud[-1].end, abs=3 * FRAME)
    for a, b in zip(quiet, loud, strict=True):
        assert a.start == pytest.approx(b.start, abs=3 * FRAME)
        assert measure(a.samples) == pytest.approx(TARGET_LUFS, abs=0.5)
        assert (measure(b.samples) or 0.0) > TARGET_LUFS


def test_onsets_and_offsets_are_near_the_truth(
    model: SileroModel, long: Samples, samples: dict[str, Sample]
) -> None:
    """The detector finds each of sixteen utterances, its edges within 0.15 s."""
    heard = edges(Vad(VadOptions()), model.stream().feed(long))

    found = [edge.sample / SAMPLE_RATE for edge in heard]
    truth = [time for u in samples["en_long"].utterances for time in (u["start"], u["end"])]
    assert isinstance(heard[0], Onset)
    assert found == pytest.approx(truth, abs=0.15)


@pytest.mark.parametrize("word", [0, 1])
def test_a_single_short_word_is_heard(
    word: int, model: SileroModel, hello: Samples, samples: dict[str, Sample]
) -> None:
    """A command of a third of a second, alone in ten seconds of silence, is one chunk that holds it."""
    start, end = words(samples["en_hello"])[word]
    recording = np.zeros(10 * SAMPLE_RATE, dtype=np.float32)
    recording[5 * SAMPLE_RATE : 5 * SAMPLE_RATE + end - start] = hello[start:end]

    [chunk] = cut(model, recording)

    assert chunk.start <= 5 * SAMPLE_RATE
    assert chunk.end >= 5 * SAMPLE_RATE + end - start


@pytest.mark.parametrize("size", [160, 1_777, 16_000, 80_000])
def test_slicing_changes_nothing(size: int, model: SileroModel, long: Samples) -> None:
    """Packets of 10 ms, odd cuts or blocks: the same chunks, the same samples."""
    recording = long[: 30 * SAMPLE_RATE]
    whole, sliced = cut(model, recording), cut(model, recording, size)

    assert plan(sliced) == plan(whole)
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(sliced, whole, strict=True))


def test_one_sample_at_a_time(model: SileroModel, hello: Samples) -> None:
    """Even sample by sample."""
    assert plan(cut(model, hello[:20_000], 1)) == plan(cut(model, hello[:20_000]))


def test_speech_without_pauses(model: SileroModel, long: Samples, samples: dict[str, Sample]) -> None:
    """A minute and a half without a pause is cut in dips; what is not shared abuts, and nothing is lost."""
    utterances = [
        long[int(u["start"] * SAMPLE_RATE) : int(u["end"] * SAMPLE_RATE)]
        for u in samples["en_long"].utterances
    ]
    speech = np.concatenate(utterances * 4)
    assert len(speech) > 90 * SAMPLE_RATE

    chunks = cut(model, speech)

    assert len(chunks) > 3
    assert (chunks[0].start, chunks[-1].end) == (0, len(speech))
    assert [c.start for c in chunks[1:]] == [c.start + c.own for c in chunks[:-1]]
    assert all(len(c.samples) <= MAX_CHUNK_SAMPLES for c in chunks)
    assert sum(c.own for c in chunks) == len(speech)


@pytest.mark.parametrize("level", [-70, -50, -30, -10])
@pytest.mark.parametrize("kind", ["white", "brown", "hum", "clicks"])
def test_noise_is_no_speech(kind: str, level: float, model: SileroModel) -> None:
    """Loud or quiet, noise gives no chunk: the gain does not make speech of it."""
    count = 15 * SAMPLE_RATE
    white = np.random.default_rng(3).standard_normal(count)
    time = np.arange(count) / SAMPLE_RATE
    brown = np.cumsum(white)
    signals = {
        "white": white,
        "brown": brown - np.convolve(brown, np.full(1_600, 1 / 1_600), mode="same"),
        "hum": np.sin(2 * np.pi * 50 * time) + 0.3 * np.sin(2 * np.pi * 150 * time),
        "clicks": white * (np.arange(count) % 12_345 < 80),
    }

    assert cut(model, at_level(signals[kind].astype(np.float32), level)) == []


def test_silence_is_no_speech(model: SileroModel) -> None:
    """Zeros, and the last bit of a sound card."""
    bit = np.random.default_rng(3).integers(-1, 2, 15 * SAMPLE_RATE).astype(np.float32) * np.float32(2**-15)

    assert cut(model, np.zeros(15 * SAMPLE_RATE, dtype=np.float32)) == []
    assert cut(model, bit) == []


@pytest.mark.parametrize("name", ["wav", "webm", "m4a"])
def test_a_recording_in_steps(name: str, model: SileroModel, long: Samples) -> None:
    """Each block holds at most 5 s; the chunks are those of the samples and come as soon as their audio."""
    file = encode(long, ENCODINGS[name])
    cutter, options = make_cutter(model, PAUSES), PAUSES
    chunks, decoded = [], 0
    for block in decode_as(io.BytesIO(file), options):
        decoded += len(block)
        assert len(block) <= 5 * SAMPLE_RATE
        new = cutter.feed(block)
        chunks += new
        # The pause that ends a chunk has to be heard first, and blocks hold up to five seconds.
        assert all(c.end > decoded - 6.7 * SAMPLE_RATE for c in new)
    chunks += cutter.flush()

    assert decoded == pytest.approx(len(long), abs=SAMPLE_RATE // 5)
    assert plan(chunks) == plan(cut(model, decode_all(file)))


def test_bare_samples(model: SileroModel, long: Samples) -> None:
    """With a rate there is no container; a live source's blocks come as it is read."""
    source = Live(int16(long[: 5 * SAMPLE_RATE]).tobytes())

    blocks = list(decode_as(source, ChunkingOptions(pcm_rate=SAMPLE_RATE)))

    assert {len(block) for block in blocks} == {SAMPLE_RATE // 4}
    assert np.array_equal(np.concatenate(blocks), int16(long[: 5 * SAMPLE_RATE]) / np.float32(32_768))


class Live(io.BytesIO):
    """A quarter of a second for each read, as a microphone gives it."""

    def read(self, _: int | None = -1, /) -> bytes:
        """Never more."""
        return super().read(SAMPLE_RATE // 4 * 2)


def test_the_open_chunk_can_be_shown(model: SileroModel, long: Samples) -> None:
    """What there is of it, while there is one; asking changes nothing."""
    pieces = cuts(long[: 20 * SAMPLE_RATE], SAMPLE_RATE // 4)
    cutter = make_cutter(model, PAUSES)
    chunks, shown = [], []
    for number, piece in enumerate(pieces, 1):
        chunks += cutter.feed(piece)
        if (peek := cutter.peek()) is not None:
            shown.append(peek)
            assert peek.end <= number * SAMPLE_RATE // 4

    assert len(shown) > 10
    assert plan(chunks + cutter.flush()) == plan(cut(model, long[: 20 * SAMPLE_RATE]))


def test_options_choose_the_cutter(model: SileroModel) -> None:
    """Pauses, or Whisper's walk."""
    assert isinstance(make_cutter(model, ChunkingOptions()), Chunker)
    assert isinstance(make_cutter(model, ChunkingOptions(windows="block")), BlockWalk)


def test_a_broken_recording() -> None:
    """What cannot be decoded, and what is too long, is an error from the first or a later block."""
    with pytest.raises(InvalidAudioError):
        list(decode_as(io.BytesIO(b"no audio"), ChunkingOptions()))
    blocks = decode_as(io.BytesIO(wav(np.zeros(90_000, dtype=np.int16))), ChunkingOptions(max_seconds=3))
    assert [len(next(blocks)), len(next(blocks))] == [SAMPLE_RATE, SAMPLE_RATE]
    with pytest.raises(InvalidAudioError, match="Maximum audio length is 3 seconds"):
        list(blocks)


class Lazy(io.RawIOBase):
    """A WAV that is made while it is read: memory of its own would hide the decoder's."""

    def __init__(self, period: bytes, repetitions: int) -> None:
        header = bytearray(wav(np.zeros(0, dtype=np.int16)))
        header[40:44] = (len(period) * repetitions).to_bytes(4, "little")
        self._parts = self._make(bytes(header), period, repetitions)
        self._left = b""

    @staticmethod
    def _make(header: bytes, period: bytes, repetitions: int) -> Iterator[bytes]:
        yield header
        for _ in range(repetitions):
            yield period

    def seekable(self) -> bool:
        """It cannot."""
        return False

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        self._left = self._left or next(self._parts, b"")
        data, self._left = self._left[:size], self._left[size:]
        return data


@pytest.mark.slow
def test_memory_does_not_grow_with_the_recording(model: SileroModel, long: Samples) -> None:
    """Twenty minutes of speech take as much memory as three, which fill a window."""
    period = int16(long[: 60 * SAMPLE_RATE]).tobytes()
    peaks = []
    for minutes in (3, 20):
        tracemalloc.start()
        try:
            cutter, decoded = make_cutter(model, ChunkingOptions()), 0
            for block in decode_as(Lazy(period, minutes), ChunkingOptions()):
                decoded += len(block)
                cutter.feed(block)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert decoded == 60 * minutes * SAMPLE_RATE

    assert peaks[1] < peaks[0] + 1_000_000
    assert peaks[1] < 20_000_000
