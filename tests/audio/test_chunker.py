"""The windows from scripted probabilities: what is in them, where they end; no speech is lost or doubled."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gateway.audio.chunker import FULL_FROM, HISTORY_FRAMES, LAST_CUT, OFFSET_PADDING, Chunker
from gateway.audio.loudness import normalise
from gateway.audio.silero import FRAME
from gateway.audio.types import MAX_CHUNK_SAMPLES, SAMPLE_RATE, Chunk, Piece, Samples
from gateway.audio.vad import MAX_PREFIX, Offset, Onset, Vad, VadOptions
from tests.audio.sound import ScriptedFrontEnd, cuts, edges

DEFAULT = VadOptions()
PREFIX = DEFAULT.prefix_samples

Script = list[tuple[float, float]]
"""(probability, seconds)"""

Plan = tuple[int, int, bool, int, tuple[Piece, ...]]


def frames(seconds: float) -> int:
    """Whole frames in so many seconds."""
    return round(seconds * SAMPLE_RATE / FRAME)


def probabilities(script: Script) -> list[float]:
    """One for each frame."""
    return [p for p, seconds in script for _ in range(frames(seconds))]


def noise(count: int) -> Samples:
    """As many samples of noise, always the same."""
    return np.random.default_rng(5).standard_normal(count).astype(np.float32) * np.float32(0.1)


def cut(
    script: Script,
    options: VadOptions = DEFAULT,
    samples: Samples | None = None,
    max_pause: float | None = None,
    *,
    overlaps: bool = True,
) -> list[Chunk]:
    """The chunks of a scripted stream, fed whole."""
    heard = probabilities(script)
    chunker = Chunker(ScriptedFrontEnd(heard), options, max_pause=max_pause, overlaps=overlaps)
    stream = noise(len(heard) * FRAME) if samples is None else samples
    return chunker.feed(stream) + chunker.flush()


def seconds(chunks: list[Chunk]) -> list[tuple[float, float]]:
    """Start and end of each chunk, rounded."""
    return [(round(chunk.start / SAMPLE_RATE, 1), round(chunk.end / SAMPLE_RATE, 1)) for chunk in chunks]


def positions(chunk: Chunk) -> NDArray[np.int64]:
    """Where each of its samples is from."""
    return np.concatenate([np.arange(piece.start, piece.end) for piece in chunk.pieces])


def next_start(chunk: Chunk) -> float:
    """Seconds to where the next one begins, if it begins in this one."""
    return float(positions(chunk)[chunk.own]) / SAMPLE_RATE


def taken(chunk: Chunk, stream: Samples) -> Samples:
    """What a chunk's pieces say that it holds."""
    return np.concatenate([stream[piece.start : piece.end] for piece in chunk.pieces])


def test_one_utterance() -> None:
    """The chunk holds the speech with its padding, exactly, at one gain."""
    stream = noise(frames(5) * FRAME)
    [chunk] = cut([(0, 2), (1, 1), (0, 2)], samples=stream)

    onset, offset = frames(2) * FRAME, (frames(2) + frames(1)) * FRAME
    assert (chunk.start, chunk.end) == (onset - PREFIX, offset + OFFSET_PADDING)
    assert chunk.ends_utterance
    assert np.array_equal(chunk.samples, normalise(stream[chunk.start : chunk.end]))


def test_a_peek_shows_the_window_so_far() -> None:
    """From its start to the newest sample of what is in it; nothing before speech and after the window."""
    heard = probabilities([(0, 1), (1, 3), (0, 2), (1, 4), (0, 4)])
    stream = noise(len(heard) * FRAME)
    chunker = Chunker(ScriptedFrontEnd(heard, late=3), DEFAULT, max_pause=3.0)
    peeks, chunks = [], []
    for start in range(0, len(stream), FRAME):
        chunks += chunker.feed(stream[start : start + FRAME])
        peek = chunker.peek()
        if peek is not None:
            assert peek.end <= start + FRAME
            assert np.array_equal(peek.samples, normalise(taken(peek, stream)))
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


@pytest.mark.parametrize(
    ("script", "end", "paused"),
    [
        ([(1, 9), (0, 2)], 5.0, False),  # no pause: in the middle of speech
        ([(1, 3), (0, 1), (1, 9), (0, 2)], 3.2, True),  # the pause before it
        ([(1, 1), (0, 1), (1, 9), (0, 2)], 5.5, False),  # a pause too early; half a second of it is kept
    ],
)
def test_a_preview_is_the_beginning_of_the_first_window(script: Script, end: float, paused: bool) -> None:  # noqa: FBT001 - a table
    """It comes with the speech that makes it long enough, and changes nothing; a short recording has none."""
    heard = probabilities(script)
    chunker = Chunker(ScriptedFrontEnd(heard), DEFAULT, early=5.0)
    stream = noise(len(heard) * FRAME)
    preview, *windows = chunker.feed(stream) + chunker.flush()

    assert preview.is_preview
    assert preview.ends_utterance == paused
    assert preview.end / SAMPLE_RATE == pytest.approx(end, abs=0.1)
    assert np.array_equal(preview.samples, normalise(taken(preview, stream)))
    assert [_plan(window) for window in windows] == [_plan(window) for window in cut(script, samples=stream)]


def test_short_speech_has_no_preview() -> None:
    """The window itself comes as soon."""
    chunker = Chunker(ScriptedFrontEnd(probabilities([(1, 4), (0, 9)])), DEFAULT, early=5.0)
    chunks = chunker.feed(noise(frames(13) * FRAME)) + chunker.flush()

    assert [chunk.is_preview for chunk in chunks] == [False]


def test_silence_gives_nothing() -> None:
    """No speech, no chunk; a click is no speech."""
    assert cut([(0, 5), (0.9, 0.064), (0.2, 90)]) == []


def test_padding_ends_at_the_stream() -> None:
    """There is nothing before the first sample nor behind the last; a padded frame has no samples."""
    heard = probabilities([(0, 0.1), (1, 1)])
    stream = noise(len(heard) * FRAME - 100)
    [chunk] = cut([(0, 0.1), (1, 1)], samples=stream)

    assert (chunk.start, chunk.end) == (0, len(stream))


def test_a_window_holds_what_goes_into_it() -> None:
    """Spans of speech a minute apart are one window; of the pauses between them the paddings are kept."""
    script: Script = [(0, 1), (1, 4), (0, 60), (1, 4), (0, 1), (1, 4), (0, 9)]
    heard = probabilities(script)
    stream = noise(len(heard) * FRAME)
    [chunk] = cut(script, samples=stream)

    spoken = [frames(4) * FRAME] * 3
    assert [piece.offset - piece.onset for piece in chunk.pieces] == spoken
    assert all(piece.start == piece.onset - PREFIX for piece in chunk.pieces)
    assert all(piece.end == piece.offset + OFFSET_PADDING for piece in chunk.pieces)
    assert np.array_equal(chunk.samples, normalise(taken(chunk, stream)))
    assert [sum(len(taken(chunk, stream)) // 3 for _ in range(n)) for n in (1, 2)] == list(chunk.breaks)


def test_short_pauses_are_kept() -> None:
    """Where a pause is no longer than the paddings nothing is left out of it."""
    [chunk] = cut([(1, 4), (0, 0.35), (1, 1), (0, 2)])
    first, second = chunk.pieces

    assert first.end == frames(4) * FRAME + OFFSET_PADDING
    assert second.start == first.end


def test_windows_are_full() -> None:
    """The next one begins in the longest pause of the last quarter but two seconds, here the last one."""
    chunks = cut([(1, 0.7), (0, 0.3)] * 100)

    assert [len(chunk.samples) for chunk in chunks[:-1]] == [MAX_CHUNK_SAMPLES] * (len(chunks) - 1)
    assert [chunk.own / SAMPLE_RATE for chunk in chunks[:3]] == pytest.approx([27.5] * 3, abs=0.6)
    assert [chunk.ends_utterance for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


@pytest.mark.parametrize("overlaps", [True, False])
def test_the_next_window_begins_in_the_longest_pause(overlaps: bool) -> None:  # noqa: FBT001 - a parameter
    """After three quarters; a longer one before counts as little as one that is not in the window."""
    script: Script = [(1, 10), (0, 3), (1, 13), (0, 1), (1, 3), (0, 0.5), (1, 5), (0, 9), (1, 2), (0, 2)]
    first, second = cut(script, overlaps=overlaps)

    assert second.start / SAMPLE_RATE == pytest.approx(26.7, abs=0.1)
    assert len(second.pieces) == 3
    if overlaps:
        assert len(first.samples) == MAX_CHUNK_SAMPLES
        assert next_start(first) == second.start / SAMPLE_RATE
    else:
        assert (first.shared, len(first.pieces)) == (0, 2)
        assert first.end / SAMPLE_RATE == pytest.approx(26.2, abs=0.1)


@pytest.mark.parametrize("overlaps", [True, False])
def test_what_both_windows_hear_is_the_same(overlaps: bool) -> None:  # noqa: FBT001 - a parameter
    """A window's end is the next one's beginning, sample by sample."""
    script: Script = [*[(1, 0.7), (0, 0.3)] * 40, (1, 50), *[(1, 13), (0, 2.5)] * 5]
    chunks = cut(script, overlaps=overlaps)

    for first, second in pairwise(chunks):
        assert (first.shared > 0) == overlaps
        assert np.array_equal(positions(first)[first.own :], positions(second)[: first.shared])


def test_the_clock_says_from_where_the_next_window_hears_speech() -> None:
    """The padding before it belongs to neither; where none follows there is no such place."""
    first, second = cut([(1, 26), (0, 1), (1, 10), (0, 2)])

    onset = second.pieces[0].onset - second.start
    assert first.timeline.cut == (first.own + onset) / SAMPLE_RATE
    assert second.timeline.cut is None


def test_a_long_pause_near_the_end_leaves_nothing_to_hear_twice() -> None:
    """Where the only pauses are too near to the end, a long one is the cut, and a short one is none."""
    long_pause = cut([(1, 28.5), (0, 6), (1, 10), (0, 2)])
    short_pause = cut([(1, 28.5), (0, 0.6), (1, 10), (0, 2)])

    assert (long_pause[0].own / SAMPLE_RATE, long_pause[1].start / SAMPLE_RATE) == pytest.approx(
        (28.7, 34.2), abs=0.1
    )
    assert short_pause[0].own <= LAST_CUT
    assert short_pause[1].start < 28.5 * SAMPLE_RATE


@pytest.mark.parametrize(("max_pause", "count"), [(None, 1), (2.0, 2), (1.0, 3)])
def test_a_pause_ends_a_window_where_that_is_asked_for(max_pause: float | None, count: int) -> None:
    """So that the text of live speech does not wait for a window to be full."""
    chunks = cut([(1, 2), (0, 1.5), (1, 2), (0, 2.5), (1, 2), (0, 0.9)], max_pause=max_pause)

    assert len(chunks) == count


def test_unbroken_speech_is_cut_without_a_gap() -> None:
    """No chunk is too long, each begins where the last one's own part ended, and all are one utterance."""
    chunks = cut([(0, 1), (1, 100), (0, 2)])

    ends = [chunk.end for chunk in chunks]
    assert [chunk.start for chunk in chunks[1:]] == [chunk.start + chunk.own for chunk in chunks[:-1]]
    assert all(FULL_FROM <= chunk.own <= LAST_CUT for chunk in chunks[:-1])
    assert all(len(chunk.samples) <= MAX_CHUNK_SAMPLES for chunk in chunks)
    assert [chunk.ends_utterance for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert (chunks[0].start, ends[-1]) == (
        frames(1) * FRAME - PREFIX,
        frames(1) * FRAME + frames(100) * FRAME + 3_200,
    )


def test_a_forced_cut_lies_in_the_dip() -> None:
    """In the last quarter of the window the least likely frame is chosen, wherever it is."""
    dips = [(0.8, 0.2), (1, 0.5), (0.4, 0.2), (1, 0.5), (0.7, 0.2)]
    chunks = cut([(1, 25), *dips, (1, 8), (0, 2)])

    assert next_start(chunks[0]) == pytest.approx(25.8, abs=0.06)


def test_a_pause_long_before_the_end_is_no_place_to_cut() -> None:
    """It would leave the window half empty: speech that goes on from there is cut."""
    first, second = cut([(1, 10), (0, 1), (1, 30), (0, 2)])

    assert first.own >= FULL_FROM
    assert (first.ends_utterance, second.start) == (False, positions(first)[first.own])


def test_energy_decides_between_equal_dips() -> None:
    """Where the detector is equally sure, the cut falls where it is quietest."""
    stream = noise(frames(40) * FRAME)
    quiet = slice(int(26.4 * SAMPLE_RATE), int(26.6 * SAMPLE_RATE))
    stream[quiet] *= 0.1
    chunks = cut([(0.99, 35), (0, 5)], samples=stream)

    assert quiet.start < chunks[1].start < quiet.stop


@pytest.mark.parametrize("after", [29.8, 29.9, 29.95, 29.98])
def test_speech_that_ends_at_the_limit_ends_in_its_pause(after: float) -> None:
    """A window that is full just when speech stops waits for the pause, and leaves none of silence."""
    chunks = cut([(1, after), (0, 3)])

    assert [chunk.ends_utterance for chunk in chunks] == [True]
    assert len(chunks[0].samples) <= MAX_CHUNK_SAMPLES


@pytest.mark.parametrize("overlaps", [True, False])
def test_a_breath_at_the_limit_is_no_pause(overlaps: bool) -> None:  # noqa: FBT001 - a parameter
    """A window that is full within a breath too short for an offset is cut where speech goes on."""
    first, second = cut([(1, 29.9), (0, 0.15), (1, 5), (0, 2)], overlaps=overlaps)

    assert len(first.samples) <= MAX_CHUNK_SAMPLES
    assert (first.ends_utterance, second.start) == (False, first.start + first.own)
    assert second.start <= LAST_CUT if overlaps else 29.9 <= second.start / SAMPLE_RATE <= 30


def test_a_long_silence_duration_does_not_overfill() -> None:
    """Where an offset takes seconds of silence, a full window ends in the silence there is."""
    patient = VadOptions(silence_duration_ms=5_000)
    chunks = cut([(1, 28), (0, 4), (1, 3), (0, 9)], patient)

    assert seconds(chunks) == [(0.0, 28.2), (31.7, 35.2)]
    assert [chunk.ends_utterance for chunk in chunks] == [True, True]


def test_no_silence_duration() -> None:
    """Where each silent frame is an offset, the padding ends with what was heard."""
    hasty = VadOptions(silence_duration_ms=0)
    [chunk] = cut([(1, 5), (0, 0.064), (1, 5), (0, 2)], hasty)
    first, second = chunk.pieces

    assert second.start == first.end


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
    early=st.sampled_from([None, 5.0]),
    max_pause=st.sampled_from([None, None, 0.5, 1.5]),
    overlaps=st.booleans(),
)
@example(
    # The deepest dip where a window may be cut is the padding of its last span.
    script=[(0.0, 2.0), (0.45, 5.0), (0.0, 3.0), (0.45, 12.0), (0.0, 2.0), (0.45, 7.0)],
    options=VadOptions(threshold=0.3, prefix_padding_ms=2_000, silence_duration_ms=0),
    size=511,
    late=0,
    early=None,
    max_pause=None,
    overlaps=True,
)
@example(
    # Two pauses too near to the end of the window, the second one longer than what is remembered.
    script=[(1.0, 28.3), (0.0, 0.3), (1.0, 0.5), (0.0, 12.0), (0.0, 12.0), (1.0, 12.0)],
    options=DEFAULT,
    size=16_000,
    late=0,
    early=None,
    max_pause=None,
    overlaps=True,
)
def test_any_script(
    script: Script,
    options: VadOptions,
    size: int,
    late: int,
    early: float | None,
    max_pause: float | None,
    overlaps: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    """Any script and options: bounded chunks in order, no speech lost, equal in any slices.

    No sample is twice in what is not shared.

    Speech is what the detector alone says it is, between onset and offset.
    """
    heard = probabilities(script)
    stream = noise(len(heard) * FRAME)

    chunks = cut(script, options, stream, max_pause, overlaps=overlaps)

    covered = np.zeros(len(stream), dtype=int)
    for chunk in chunks:
        assert 0 < len(chunk.samples) <= MAX_CHUNK_SAMPLES
        assert np.array_equal(chunk.samples, normalise(taken(chunk, stream)))
        for piece in chunk.pieces:
            assert piece.start <= piece.onset <= piece.offset <= piece.end
        covered[positions(chunk)[: chunk.own]] += 1
        assert chunk.pieces == tuple(sorted(chunk.pieces, key=lambda piece: piece.start))
    for first, second in pairwise(chunks):
        assert np.array_equal(positions(first)[first.own :], positions(second)[: first.shared])
        assert positions(first)[first.own - 1] < second.start
    assert covered.max(initial=0) <= 1
    previews, windows = _sliced(stream, heard, options, size, late, max_pause, early, overlaps)
    assert [_plan(chunk) for chunk in previews] == [
        _plan(chunk)
        for chunk in _sliced(stream, heard, options, len(stream), 0, max_pause, early, overlaps)[0]
    ]
    found = edges(Vad(options), heard)
    for onset, offset in zip(found[::2], found[1::2], strict=True):
        assert isinstance(onset, Onset)
        assert isinstance(offset, Offset)
        # A pause the detector itself had to bridge may have been used to end a full chunk.
        speech = np.repeat(np.array(heard) >= options.threshold, FRAME)
        assert covered[onset.sample : offset.sample][speech[onset.sample : offset.sample]].all()
    assert windows == [_plan(chunk) for chunk in chunks]


def _plan(chunk: Chunk) -> Plan:
    return (chunk.start, chunk.end, chunk.ends_utterance, chunk.shared, chunk.pieces)


def _sliced(
    stream: Samples,
    heard: list[float],
    options: VadOptions,
    size: int,
    late: int,
    max_pause: float | None,
    early: float | None,
    overlaps: bool,  # noqa: FBT001 - as the test has it
) -> tuple[list[Chunk], list[Plan]]:
    """Previews and plan of the same stream in slices, with probabilities ``late`` frames behind."""
    chunker = Chunker(
        ScriptedFrontEnd(heard, late=late), options, max_pause=max_pause, early=early, overlaps=overlaps
    )
    chunks: list[Chunk] = []
    for piece in cuts(stream, max(size, 1)):
        chunks += chunker.feed(piece)
        held = chunker._buffer.end - chunker._buffer.start + sum(len(s.samples) for s in chunker._spans)
        waiting = MAX_PREFIX + options.silence_samples + 2 * SAMPLE_RATE
        assert held <= MAX_CHUNK_SAMPLES + max(waiting, HISTORY_FRAMES * FRAME) + size
    chunks += chunker.flush()
    return (
        [chunk for chunk in chunks if chunk.is_preview],
        [_plan(chunk) for chunk in chunks if not chunk.is_preview],
    )
