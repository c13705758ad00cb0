"""Whisper's walk: every sample with speech lies in a window, each window begins where the engine stopped."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audio.blocks import MIN_SPEECH, BlockWalk
from gateway.audio.chunking import ChunkingOptions, decode_as
from gateway.audio.frontend import FrontEnd
from gateway.audio.loudness import normalise
from gateway.audio.silero import FRAME, SileroModel
from gateway.audio.types import MAX_CHUNK_SAMPLES, SAMPLE_RATE, Chunk, Samples
from gateway.audio.vad import VadOptions
from tests.audio.sound import Growing, ScriptedFrontEnd, cuts, int16, wav

DEFAULT = VadOptions()
KEPT = DEFAULT.prefix_samples
"""What a skipped window leaves to the next one."""

Script = list[tuple[float, float]]
"""(probability, seconds)"""


def probabilities(script: Script) -> list[float]:
    """One for each frame."""
    return [p for p, seconds in script for _ in range(round(seconds * SAMPLE_RATE / FRAME))]


def noise(count: int) -> Samples:
    """As many samples of noise, always the same."""
    return np.random.default_rng(5).standard_normal(count).astype(np.float32) * np.float32(0.1)


def walk_over(
    script: Script,
    told: list[float | None] | None = None,
    *,
    size: int | None = None,
    cut_off: int = 0,
    at_last: bool = False,
) -> list[Chunk]:
    """All windows of a scripted stream, fed in pieces of ``size`` samples.

    Args:
        told: How far the engine gets in each window, at most to its end; None and no value mean to its end.
        cut_off: Samples that the last frame lacks.
        at_last: The engine's first answer comes when the recording is over.
    """
    heard = probabilities(script)
    stream = noise(len(heard) * FRAME - cut_off)
    walk = BlockWalk(ScriptedFrontEnd(heard), DEFAULT)
    answers = iter(told or [])
    windows: list[Chunk] = []

    def take(given: list[Chunk]) -> None:
        assert len(given) <= 1
        windows.extend(given)
        while walk.waiting and not at_last:
            seconds = next(answers, None)
            length = len(windows[-1].samples) / SAMPLE_RATE
            windows.extend(walk.advance(None if seconds is None else min(seconds, length)))

    for piece in cuts(stream, size or len(stream)):
        take(walk.feed(piece))
    last = walk.flush()
    at_last = False
    take(last)
    return windows


def spans(windows: list[Chunk]) -> list[tuple[float, float]]:
    """Start and end of each window in seconds."""
    return [(round(w.start / SAMPLE_RATE, 2), round(w.end / SAMPLE_RATE, 2)) for w in windows]


def test_windows_follow_the_timestamps() -> None:
    """Each begins where the engine's last timestamp was, to the sample; the last one says so."""
    windows = walk_over([(1, 70)], [24.5, 29.98, None])

    assert [w.start for w in windows] == [0, 392_000, 392_000 + 479_680]
    assert [len(w.samples) for w in windows[:2]] == [MAX_CHUNK_SAMPLES] * 2
    assert windows[2].end == len(probabilities([(1, 70)])) * FRAME
    assert [w.ends_utterance for w in windows] == [False, False, True]


def test_a_window_is_the_recording_at_one_gain() -> None:
    """Its samples are those of its span, scaled together."""
    [first, second] = walk_over([(1, 40)], [20.0])
    stream = noise(first.end + SAMPLE_RATE * 40)

    assert np.array_equal(first.samples, normalise(stream[: first.end]))
    assert np.array_equal(second.samples, normalise(stream[second.start : second.end]))


def test_silent_windows_are_skipped() -> None:
    """The next window begins with the next speech and its padding; a silent recording has no window."""
    [window] = walk_over([(0, 75), (1, 5), (0, 60)])

    assert window.start == len(probabilities([(0, 75)])) * FRAME - KEPT
    assert walk_over([(0, 5), (0.9, 0.064), (0.2, 90)]) == []


@pytest.mark.parametrize(
    ("script", "first"),
    [
        # Cut off at its start, the word is the next window's, with its padding.
        ([(0, 29.9), (1, 2), (0, 10)], 29.7),
        # A short word is a word.
        ([(0, 20), (1, 0.13), (0, 20)], 0.0),
        # What is whole counts up to the end of the recording, and no more than a frame lacks.
        ([(0, 31), (1, 0.13)], 30.71),
    ],
)
def test_what_counts_as_speech(script: Script, first: float) -> None:
    """Short words do, a beginning at the window's very end does not yet."""
    for cut_off in (0, 100):
        windows = walk_over(script, cut_off=cut_off)

        assert spans(windows)[0][0] == first


def test_a_tail_no_word_fits_in_is_not_decoded() -> None:
    """The engine's last timestamp lies a little before the detector's end of speech; no window for that."""
    script = [(1.0, 25.0), (0.0, 50.0)]
    speech = round(25.0 * SAMPLE_RATE / FRAME) * FRAME
    inside, outside = ((speech - n) / SAMPLE_RATE for n in (MIN_SPEECH - 16, MIN_SPEECH + 16))

    assert len(walk_over(script, [inside])) == 1
    assert [w.start for w in walk_over(script, [outside])] == [0, speech - MIN_SPEECH - 16]


@pytest.mark.parametrize("size", [512, 1_777, 16_000, 80_000])
@pytest.mark.parametrize("told", [[], [13.37, 29.5, 22.22, 0.5]])
def test_slicing_changes_nothing(size: int, told: list[float | None]) -> None:
    """However the stream comes, the same windows with the same samples."""
    script = [(0.0, 3.0), (1.0, 26.9), (0.3, 0.5), (1.0, 12.0), (0.0, 33.0), (1.0, 4.0), (0.0, 0.7)]
    whole, sliced = walk_over(script, told), walk_over(script, told, size=size)

    assert spans(sliced) == spans(whole)
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(sliced, whole, strict=True))


@pytest.mark.parametrize("size", [1_777, 80_000])
def test_what_is_fed_while_it_waits_is_kept(size: int) -> None:
    """However late the engine answers, the same windows, and none before the answer."""
    script = [(0.0, 3.0), (1.0, 26.9), (0.3, 0.5), (1.0, 12.0), (0.0, 33.0), (1.0, 4.0), (0.0, 0.7)]
    told: list[float | None] = [13.37, 29.5, 22.22]

    assert spans(walk_over(script, told, size=size, at_last=True)) == spans(walk_over(script, told))


def test_one_sample_at_a_time() -> None:
    """Even then."""
    script = [(0.0, 1.0), (1.0, 1.5), (0.0, 0.5)]

    assert spans(walk_over(script, size=1)) == spans(walk_over(script)) == [(0.0, 3.01)]


@settings(max_examples=60, deadline=None)
@given(
    script=st.lists(st.tuples(st.sampled_from([0.0, 0.4, 1.0]), st.floats(0.05, 40)), min_size=1, max_size=8),
    told=st.lists(st.one_of(st.none(), st.floats(5.0, 30.0)), max_size=8),
    size=st.integers(3_000, 200_000),
)
def test_no_speech_is_lost(script: Script, told: list[float | None], size: int) -> None:
    """Every second of speech lies in a window or behind what the engine told; slices do not matter."""
    stream = sum(round(seconds * SAMPLE_RATE / FRAME) for _, seconds in script) * FRAME
    windows = walk_over(script, told, size=size)

    assert spans(windows) == spans(walk_over(script, told))
    assert spans(windows) == spans(walk_over(script, told, size=size, at_last=True))
    covered = np.zeros(stream + 1, dtype=bool)
    for window in windows:
        covered[window.start : window.end] = True
    position = 0
    for probability, seconds in script:
        end = position + round(seconds * SAMPLE_RATE / FRAME) * FRAME
        if probability == 1.0 and end - position > 2 * MIN_SPEECH:
            # But for the tail that a window ended in, behind the engine's last timestamp.
            assert np.count_nonzero(~covered[position:end]) < MIN_SPEECH
        position = end


def test_the_engine_must_answer_once_and_sensibly() -> None:
    """An answer without a window and no progress are errors, or the walk would not end."""
    heard = probabilities([(1, 40)])
    walk = BlockWalk(ScriptedFrontEnd(heard), DEFAULT)
    with pytest.raises(RuntimeError):
        walk.advance(1.0)

    assert len(walk.feed(noise(len(heard) * FRAME))) == 1
    for wrong in (0.0, -1.0, 30.1):
        with pytest.raises(ValueError, match=r"30\.0 s"):
            walk.advance(wrong)
    assert walk.waiting


def test_no_window_before_it_is_full_and_judged() -> None:
    """A window needs 30 s and the little that an onset is told late; never more."""
    heard = probabilities([(1, 40)])
    walk = BlockWalk(ScriptedFrontEnd(heard), DEFAULT)
    fed = 1
    while not walk.feed(noise(FRAME)):
        assert not walk.waiting
        assert walk.peek() is None
        fed += 1

    assert 30 < fed * FRAME / SAMPLE_RATE < 30.4


@pytest.mark.parametrize("seconds", [0.2, 1.8, 30, 30.2, 60])
def test_the_end_comes_in_any_place(seconds: float) -> None:
    """The windows abut and reach to the recording's end, however near to a window's end that is."""
    windows = walk_over([(1, seconds)])
    missing = len(probabilities([(1, seconds)])) * FRAME - windows[-1].end

    assert [w.start for w in windows] == [0, *(w.end for w in windows[:-1])]
    assert 0 <= missing < MIN_SPEECH
    assert [w.ends_utterance for w in windows] == [False] * (len(windows) - 1) + [missing == 0]


@pytest.mark.slow
def test_a_recording_in_steps(model: SileroModel, long: Samples) -> None:
    """A growing file: the walk holds no more than it must, and skips the silence."""
    silence = np.zeros(65 * SAMPLE_RATE, dtype=np.float32)
    recording = np.concatenate((long, silence, long[: 20 * SAMPLE_RATE]))
    walk = BlockWalk(FrontEnd(model), DEFAULT)
    held = []
    windows: list[Chunk] = []

    def take(given: list[Chunk]) -> None:
        while given:
            windows.extend(given)
            given = walk.advance(25.0 if len(given[0].samples) == MAX_CHUNK_SAMPLES else None)

    for block in decode_as(Growing(wav(int16(recording))), ChunkingOptions()):
        take(walk.feed(block))
        held.append(walk._buffer.end - walk._buffer.start)
    take(walk.flush())

    assert max(held) <= 36 * SAMPLE_RATE
    # Speech ends at 71 s and begins again at 141.4 s.
    assert spans(windows)[:3] == [(0, 30), (25, 55), (50, 80)]
    assert len(windows) == 4
    assert windows[3].start / SAMPLE_RATE == pytest.approx(141.1, abs=0.15)
    assert windows[-1].end == len(recording)
