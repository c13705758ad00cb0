"""Onsets and offsets from scripted probabilities; the model is not needed to know what they must be."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.silero import FRAME, SileroModel
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.audio.vad import (
    MAX_PREFIX,
    ONSET_FRAMES,
    ONSET_PATIENCE,
    Offset,
    Onset,
    Vad,
    VadOptions,
    VadState,
)
from tests.audio.sound import edges

DEFAULT = VadOptions()
SILENCE = 8
"""Frames of silence that end speech by default: the first one, then 200 ms."""


def events(*script: tuple[float, int], options: VadOptions = DEFAULT) -> list[tuple[str, int]]:
    """Kind and frame of each event of a script of (probability, frames)."""
    probabilities = [p for p, frames in script for _ in range(frames)]
    return [(type(edge).__name__, edge.sample // FRAME) for edge in edges(Vad(options), probabilities)]


def test_speech_between_silence() -> None:
    """The onset lies at the first frame of speech, the offset at the first of silence."""
    assert events((0.1, 10), (0.9, 20), (0.1, 20)) == [("Onset", 10), ("Offset", 30)]


def test_options_are_openais_defaults() -> None:
    """And their conversions to samples are exact."""
    assert (DEFAULT.threshold, DEFAULT.prefix_padding_ms, DEFAULT.silence_duration_ms) == (0.5, 300, 200)
    assert (DEFAULT.prefix_samples, DEFAULT.silence_samples) == (4_800, 3_200)
    assert DEFAULT.neg_threshold == pytest.approx(0.35)
    assert VadOptions(threshold=0.1).neg_threshold == 0.01
    assert VadOptions(prefix_padding_ms=60_000).prefix_samples == MAX_PREFIX


@pytest.mark.parametrize("frames", [1, 2])
def test_a_click_is_not_speech(frames: int) -> None:
    """One or two frames of probability are a knock, however sure the model is."""
    assert events((0.0, 10), (1.0, frames), (0.0, 20)) == []


def test_a_short_command_is_speech() -> None:
    """A yes of 0.25 s: 8 frames; even the shortest onset makes it."""
    assert events((0.0, 10), (0.8, 8), (0.0, 20)) == [("Onset", 10), ("Offset", 18)]
    assert events((0.0, 10), (0.8, ONSET_FRAMES), (0.0, 20)) == [("Onset", 10), ("Offset", 13)]


def test_an_onset_may_waver() -> None:
    """A soft start counts from its first frame; one that never gets sure, and clicks far apart, do not."""
    assert events((0.0, 4), (0.6, 1), (0.2, 1), (0.6, 2), (0.0, 20)) == [("Onset", 4), ("Offset", 8)]
    assert events((0.0, 4), (0.6, 2), (0.0, ONSET_PATIENCE), (0.6, 2), (0.0, 20)) == []


def test_a_click_before_speech() -> None:
    """A click delays no onset, not even one that comes in the last frame of its patience."""
    for gap in range(ONSET_PATIENCE - 1, ONSET_PATIENCE + 2):
        start = 1 + gap
        assert events((0.9, 1), (0.0, gap), (0.9, 5), (0.0, 20))[-2] in {("Onset", start), ("Onset", 0)}
        assert events((0.9, 1), (0.0, gap), (0.9, 5), (0.0, 20))[-1] == ("Offset", start + 5)


def test_hysteresis() -> None:
    """Below the threshold speech goes on, below the negative one it ends."""
    assert events((0.9, 5), (0.36, 50), (0.9, 5)) == [("Onset", 0), ("Offset", 60)]
    assert events((0.9, 5), (0.34, 50), (0.9, 5)) == [
        ("Onset", 0),
        ("Offset", 5),
        ("Onset", 55),
        ("Offset", 60),
    ]


def test_a_pause_is_bridged() -> None:
    """Silence shorter than the duration asked for is no offset; the first that is long enough is."""
    assert events((0.9, 5), (0.0, SILENCE - 1), (0.9, 5)) == [("Onset", 0), ("Offset", 5 + SILENCE - 1 + 5)]
    assert events((0.9, 5), (0.0, SILENCE)) == [("Onset", 0), ("Offset", 5)]


@pytest.mark.parametrize("milliseconds", [0, 100, 500, 2_000])
def test_silence_duration(milliseconds: int) -> None:
    """The offset is known once the silence lasted as long behind its first frame, and lies where it began."""
    vad = Vad(replace(DEFAULT, silence_duration_ms=milliseconds))
    for _ in range(5):
        vad.step(0.9)
    frames = 1
    while vad.step(0.0) is None:
        frames += 1

    assert (frames - 1) * FRAME >= milliseconds * SAMPLE_RATE / 1000 > (frames - 2) * FRAME - 1


def test_states() -> None:
    """The four states in their order, with what they say of themselves."""
    vad = Vad(DEFAULT)
    seen = []
    for p in [0.0, 0.9, 0.9, 0.9, 0.9, 0.0, 0.0, 0.9]:
        vad.step(p)
        seen.append((vad.state.name, vad.speaking, vad.silence // FRAME))

    assert seen == [
        ("QUIET", False, 0),
        ("STARTING", False, 0),
        ("STARTING", False, 0),
        ("SPEAKING", True, 0),
        ("SPEAKING", True, 0),
        ("STOPPING", True, 1),
        ("STOPPING", True, 2),
        ("SPEAKING", True, 0),
    ]
    assert vad.position == 8 * FRAME


def test_stop() -> None:
    """The end of the stream ends speech: where it stands, or where its silence began."""
    assert events((0.9, 5)) == [("Onset", 0), ("Offset", 5)]
    assert events((0.9, 5), (0.0, 3)) == [("Onset", 0), ("Offset", 5)]
    assert events((0.0, 5), (0.9, 2)) == []


def test_stop_begins_anew() -> None:
    """After a forced end, speech that goes on is a new onset."""
    vad = Vad(DEFAULT)
    for p in [0.9] * 10 + [0.0] * 2:
        vad.step(p)

    assert vad.stop() == Offset(10 * FRAME)
    assert vad.stop() is None
    assert vad.state is VadState.QUIET
    assert [vad.step(0.9) for _ in range(3)] == [None, None, Onset(12 * FRAME)]


@given(
    probabilities=st.lists(st.sampled_from([0.0, 0.34, 0.36, 0.49, 0.5, 1.0]), max_size=120),
)
def test_any_probabilities(probabilities: list[float]) -> None:
    """Events alternate and lie within the stream in order."""
    found = edges(Vad(DEFAULT), probabilities)

    assert [type(event) for event in found] == [Onset, Offset] * (len(found) // 2)
    positions = [event.sample for event in found]
    assert positions == sorted(set(positions))
    assert all(0 <= position <= len(probabilities) * FRAME for position in positions)


def test_the_edges_are_those_of_silero(model: SileroModel, long: Samples) -> None:
    """On 75 s of speech, silero-vad's own `VADIterator` finds the same edges from the same probabilities."""
    torch = pytest.importorskip(
        "torch", reason="silero-vad's VADIterator needs torch, which is not installed"
    )
    silero_vad = pytest.importorskip("silero_vad", reason="the package silero-vad is not installed")
    probabilities = model.stream().feed(long)

    class Replay:
        """A model that has already heard the stream."""

        def __init__(self) -> None:
            self.left = iter(probabilities.tolist())

        def __call__(self, samples: object, rate: int) -> object:
            return torch.tensor(next(self.left))

        def reset_states(self) -> None:
            """Nothing to reset."""

    theirs = silero_vad.VADIterator(
        Replay(), threshold=0.5, sampling_rate=SAMPLE_RATE, min_silence_duration_ms=200, speech_pad_ms=0
    )
    found = [theirs(torch.from_numpy(long[i : i + FRAME])) for i in range(0, len(long) - FRAME + 1, FRAME)]

    vad = Vad(DEFAULT)
    ours = [
        {"start" if isinstance(event, Onset) else "end": event.sample}
        for p in probabilities
        if (event := vad.step(float(p))) is not None
    ]
    assert ours == [edge for edge in found if edge is not None]
