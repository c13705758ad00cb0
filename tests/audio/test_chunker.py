"""The chunk plan from scripted probabilities: where chunks begin and end; no speech is lost or doubled."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audio.chunker import MAX_PAUSE, OFFSET_PADDING, Chunker
from gateway.audio.loudness import normalise
from gateway.audio.silero import FRAME
from gateway.audio.types import MAX_CHUNK_SAMPLES, SAMPLE_RATE, Chunk, Samples
from gateway.audio.vad import MAX_PREFIX, Offset, Onset, Vad, VadOptions
from tests.audio.sound import ScriptedFrontEnd, cuts, edges

DEFAULT = VadOptions()
PREFIX = DEFAULT.prefix_samples

Script = list[tuple[float, float]]
"""(probability, seconds)"""


def frames(seconds: float) -> int:
    """Whole frames in so many seconds."""
    return round(seconds * SAMPLE_RATE / FRAME)


def probabilities(script: Script) -> list[float]:
    """One for each frame."""
    return [p for p, seconds in script for _ in range(frames(seconds))]


def noise(count: int) -> Samples:
    """As many samples of noise, always the same."""
    return np.random.default_rng(5).standard_normal(count).astype(np.float32) * np.float32(0.1)


def cut(script: Script, options: VadOptions = DEFAULT, samples: Samples | None = None) -> list[Chunk]:
    """The chunks of a scripted stream, fed whole."""
    heard = probabilities(script)
    chunker = Chunker(ScriptedFrontEnd(heard), options)
    stream = noise(len(heard) * FRAME) if samples is None else samples
    return chunker.feed(stream) + chunker.flush()


def seconds(chunks: list[Chunk]) -> list[tuple[float, float]]:
    """Start and end of each chunk, rounded."""
    return [(round(chunk.start / SAMPLE_RATE, 1), round(chunk.end / SAMPLE_RATE, 1)) for chunk in chunks]


def test_one_utterance() -> None:
    """The chunk holds the speech with its padding, exactly, at one gain."""
    stream = noise(frames(5) * FRAME)
    [chunk] = cut([(0, 2), (1, 1), (0, 2)], samples=stream)

    onset, offset = frames(2) * FRAME, (frames(2) + frames(1)) * FRAME
    assert (chunk.start, chunk.end) == (onset - PREFIX, offset + OFFSET_PADDING)
    assert chunk.ends_utterance
    assert np.array_equal(chunk.samples, normalise(stream[chunk.start : chunk.end]))


def test_a_peek_shows_the_chunk_so_far() -> None:
    """From the chunk's start to the newest sample, at most its limit; nothing before speech and behind it."""
    heard = probabilities([(0, 1), (1, 9.5), (0, 4)])
    stream = noise(len(heard) * FRAME)
    chunker = Chunker(ScriptedFrontEnd(heard, late=3), DEFAULT)
    peeks, chunks = [], []
    for start in range(0, len(stream), FRAME):
        end = start + FRAME
        chunks += chunker.feed(stream[start:end])
        peek = chunker.peek()
        if peek is not None:
            assert peek.end == min(end, peek.start + 10 * SAMPLE_RATE)
            assert np.array_equal(peek.samples, normalise(stream[peek.start : peek.end]))
            peeks.append((peek.start, peek.ends_utterance))
        else:
            assert bool(chunks) == bool(peeks)

    assert set(peeks) == {(chunks[0].start, False)}
    assert len(chunks) == 1
    assert chunker.peek() is None


@pytest.mark.parametrize("script", [[(1.0, 70.0)], [(1.0, 0.7), (0.0, 0.3)] * 40])
def test_peeking_changes_nothing(script: Script) -> None:
    """The plan is the same, and a peek is of the chunk that comes next."""
    heard = probabilities(script)
    stream = noise(len(heard) * FRAME)
    chunker = Chunker(ScriptedFrontEnd(heard), DEFAULT)
    chunks: list[Chunk] = []
    peeked: Chunk | None = None
    for piece in cuts(stream, 8 * FRAME):
        new = chunker.feed(piece)
        if new and peeked is not None:
            assert peeked.start == new[0].start
        chunks += new
        peeked = chunker.peek()
    chunks += chunker.flush()

    assert [_plan(chunk) for chunk in chunks] == [_plan(chunk) for chunk in cut(script, samples=stream)]


def test_silence_gives_nothing() -> None:
    """No speech, no chunk; a click is no speech."""
    assert cut([(0, 5), (0.9, 0.064), (0.2, 90)]) == []


def test_padding_ends_at_the_stream() -> None:
    """There is nothing before the first sample nor behind the last; a padded frame has no samples."""
    heard = probabilities([(0, 0.1), (1, 1)])
    stream = noise(len(heard) * FRAME - 100)
    [chunk] = cut([(0, 0.1), (1, 1)], samples=stream)

    assert (chunk.start, chunk.end) == (0, len(stream))


def test_short_pauses_stay_inside_and_long_ones_end_the_chunk() -> None:
    """Up to `MAX_PAUSE` is a breath, more is a new utterance."""
    pause = MAX_PAUSE / SAMPLE_RATE
    chunks = cut([(1, 0.5), (0, pause - 0.2), (1, 0.5), (0, pause + 0.3), (1, 1), (0, 2)])

    bounds = [bound for chunk in seconds(chunks) for bound in chunk]
    assert bounds == pytest.approx([0.0, pause + 1, 2 * pause + 0.8, 2 * pause + 2.3], abs=0.11)
    assert [chunk.ends_utterance for chunk in chunks] == [True, True]


def test_padding_never_overlaps_the_chunk_before() -> None:
    """Where the pause is shorter than both paddings, each sample goes to one chunk."""
    first, second = cut([(1, 4), (0, 0.35), (1, 1), (0, 2)])

    assert first.end == frames(4) * FRAME + OFFSET_PADDING
    assert second.start == first.end


def test_chunks_grow() -> None:
    """Each ends at the first pause after 3/4 of its goal: 5, then 28 s."""
    chunks = cut([(1, 0.7), (0, 0.3)] * 100)

    lengths = [len(chunk.samples) / SAMPLE_RATE for chunk in chunks[:5]]
    assert lengths == pytest.approx([4, 21.5, 21.5, 21.5, 21.5], abs=1.0)
    assert all(chunk.ends_utterance for chunk in chunks)


def test_unbroken_speech_is_cut_without_a_gap() -> None:
    """No chunk is too long, each begins where the last one ended, and all are one utterance."""
    chunks = cut([(0, 1), (1, 100), (0, 2)])

    ends = [chunk.end for chunk in chunks]
    assert [chunk.start for chunk in chunks[1:]] == ends[:-1]
    assert all(
        len(c.samples) <= limit * SAMPLE_RATE for c, limit in zip(chunks, (10, 30, 30, 30, 30), strict=False)
    )
    assert [chunk.ends_utterance for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert (chunks[0].start, ends[-1]) == (
        frames(1) * FRAME - PREFIX,
        frames(1) * FRAME + frames(100) * FRAME + 3_200,
    )


def test_a_forced_cut_lies_in_the_dip() -> None:
    """In the last 30 % of the first chunk's 10 s, the least likely frame is chosen, wherever it is."""
    chunks = cut([(1, 8), (0.8, 0.2), (1, 0.5), (0.4, 0.2), (1, 0.5), (0.7, 0.2), (1, 5), (0, 2)])

    assert seconds(chunks)[0] == (0.0, 8.8)


def test_energy_decides_between_equal_dips() -> None:
    """Where the detector is equally sure, the cut falls where it is quietest."""
    stream = noise(frames(20) * FRAME)
    quiet = slice(int(8.4 * SAMPLE_RATE), int(8.6 * SAMPLE_RATE))
    stream[quiet] *= 0.1
    chunks = cut([(0.99, 15), (0, 5)], samples=stream)

    assert quiet.start < chunks[0].end < quiet.stop


@pytest.mark.parametrize("after", [9.8, 9.9, 9.95, 10.0])
def test_speech_that_ends_at_the_limit_ends_in_its_pause(after: float) -> None:
    """A chunk that is full just when speech stops waits for the pause, and leaves no chunk of silence."""
    chunks = cut([(1, after), (0, 3)])

    assert [chunk.ends_utterance for chunk in chunks] == [True]
    assert len(chunks[0].samples) <= 10 * SAMPLE_RATE


def test_a_breath_at_the_limit_is_where_the_cut_falls() -> None:
    """A chunk that is full within a breath too short for an offset is cut in it, and speech goes on."""
    first, second = cut([(1, 9.9), (0, 0.15), (1, 5), (0, 2)])

    assert first.end / SAMPLE_RATE == pytest.approx(9.95, abs=0.06)
    assert (first.ends_utterance, second.start) == (False, first.end)


def test_a_long_silence_duration_does_not_overfill() -> None:
    """Where an offset takes seconds of silence, a full chunk ends in the silence there is."""
    patient = VadOptions(silence_duration_ms=5_000)
    chunks = cut([(1, 8), (0, 4), (1, 3), (0, 9)], patient)

    assert seconds(chunks) == [(0.0, 8.2), (11.7, 15.2)]
    assert [chunk.ends_utterance for chunk in chunks] == [True, True]


def test_no_silence_duration() -> None:
    """Where each silent frame is an offset, the padding ends with what was heard."""
    hasty = VadOptions(silence_duration_ms=0)
    chunks = cut([(1, 5), (0, 0.032), (1, 5), (0, 2)], hasty)

    assert len(chunks) == 2
    assert chunks[1].start == chunks[0].end


def test_a_very_long_prefix_is_bounded() -> None:
    """Padding never fills a chunk."""
    [chunk] = cut([(0, 40), (1, 1), (0, 2)], VadOptions(prefix_padding_ms=60_000))

    assert chunk.start == frames(40) * FRAME - MAX_PREFIX


def test_flush_within_a_pause() -> None:
    """The pause that the end of the stream cuts short ends the chunk as usual."""
    [chunk] = cut([(1, 1), (0, 0.6)])

    assert (chunk.end, chunk.ends_utterance) == (frames(1) * FRAME + OFFSET_PADDING, True)
    assert Chunker(ScriptedFrontEnd([]), DEFAULT).flush() == []


def test_it_waits_for_no_engine() -> None:
    """What an engine makes of a chunk changes nothing, so nobody is to say."""
    chunker = Chunker(ScriptedFrontEnd([1.0] * 2_000), DEFAULT)

    assert chunker.feed(noise(2_000 * FRAME))
    assert not chunker.waiting
    with pytest.raises(RuntimeError):
        chunker.advance(None)


@settings(max_examples=60, deadline=None)
@given(
    script=st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.45, 0.7, 1.0]), st.floats(0.03, 12)), max_size=14),
    options=st.builds(
        VadOptions,
        threshold=st.sampled_from([0.3, 0.5, 0.9]),
        prefix_padding_ms=st.sampled_from([0, 300, 2_000]),
        silence_duration_ms=st.sampled_from([0, 100, 200, 500, 3_000]),
    ),
    size=st.sampled_from([511, 1_600, 16_000, 77_777]),
    late=st.integers(0, 6),
)
def test_any_script(script: Script, options: VadOptions, size: int, late: int) -> None:
    """Any script and options: bounded chunks in order, no sample twice, no speech lost, equal in any slices.

    Speech is what the detector alone says it is, between onset and offset.
    """
    heard = probabilities(script)
    stream = noise(len(heard) * FRAME)

    chunks = cut(script, options, stream)

    covered = np.zeros(len(stream), dtype=int)
    for chunk in chunks:
        assert 0 < len(chunk.samples) <= MAX_CHUNK_SAMPLES
        assert np.array_equal(chunk.samples, normalise(stream[chunk.start : chunk.end]))
        covered[chunk.start : chunk.end] += 1
    assert covered.max(initial=0) <= 1
    found = edges(Vad(options), heard)
    for onset, offset in zip(found[::2], found[1::2], strict=True):
        assert isinstance(onset, Onset)
        assert isinstance(offset, Offset)
        # A pause the detector itself had to bridge may have been used to end a full chunk.
        speech = np.repeat(np.array(heard) >= options.threshold, FRAME)
        assert covered[onset.sample : offset.sample][speech[onset.sample : offset.sample]].all()
    assert _sliced(stream, heard, options, size, late) == [_plan(chunk) for chunk in chunks]


def _plan(chunk: Chunk) -> tuple[int, int, bool]:
    return (chunk.start, chunk.end, chunk.ends_utterance)


def _sliced(
    stream: Samples, heard: list[float], options: VadOptions, size: int, late: int
) -> list[tuple[int, int, bool]]:
    """The plan of the same stream in slices, with probabilities ``late`` frames behind the samples."""
    chunker = Chunker(ScriptedFrontEnd(heard, late=late), options)
    chunks: list[Chunk] = []
    for piece in cuts(stream, size):
        chunks += chunker.feed(piece)
        assert chunker._buffer.end - chunker._buffer.start <= MAX_CHUNK_SAMPLES + MAX_PREFIX + size
    return [_plan(chunk) for chunk in chunks + chunker.flush()]
