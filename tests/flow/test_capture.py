"""From bytes to utterances: every sample counted, whatever the encoding and wherever appends are cut."""

from dataclasses import replace

import numpy as np
import pytest

from gateway.audio.turns import ChunkReady, SegmenterEvent, TurnMode, TurnOptions
from gateway.audio.types import SAMPLE_RATE
from gateway.flow.capture import Capture
from gateway.flow.options import LiveOptions, NoiseReduction
from tests.flow.speech import Script, ScriptedVad, sound

MANUAL = TurnOptions(TurnMode.MANUAL)
SPEECH: Script = [(1.0, 60.0)]


def make(options: LiveOptions, script: Script = SPEECH) -> Capture:
    """Of scripted speech."""
    return Capture(ScriptedVad(script).as_model(), options)


def capture_all(options: LiveOptions, data: bytes, size: int) -> list[SegmenterEvent]:
    """All of it in appends of a size, then a commit."""
    microphone = make(options)
    events = [event for at in range(0, len(data), size) for event in microphone.feed(data[at : at + size])]
    return events + microphone.settle() + microphone.segmenter.commit()


OPTIONS = [
    LiveOptions(rate=16_000, turns=MANUAL),
    LiveOptions(turns=MANUAL),
    LiveOptions("ulaw", 8_000, turns=MANUAL),
    LiveOptions(turns=MANUAL, noise_reduction=NoiseReduction("near_field", 1.0)),
]


@pytest.mark.parametrize("options", OPTIONS)
def test_slicing_changes_nothing(options: LiveOptions) -> None:
    """Odd bytes, halves of samples: the chunk is the same."""
    data = sound(0.3)
    [whole] = [
        event.chunk for event in capture_all(options, data, len(data)) if isinstance(event, ChunkReady)
    ]

    assert len(whole.samples) > 1000
    for size in (1, 999, 4801):
        [cut] = [event.chunk for event in capture_all(options, data, size) if isinstance(event, ChunkReady)]
        assert np.array_equal(cut.samples, whole.samples)
        assert cut.start == whole.start


@pytest.mark.parametrize("options", OPTIONS)
def test_a_commit_counts_all_that_was_sent(options: LiveOptions) -> None:
    """100 ms are 100 ms, though a resampler and a noise reduction hold some back; twice in a row as well."""
    data = bytes(options.rate * options.sample_bytes // 10)
    microphone = make(options)
    for _ in range(3):
        microphone.feed(data)
        microphone.settle()

        assert microphone.segmenter.uncommitted == SAMPLE_RATE // 10
        microphone.segmenter.commit()


def test_half_a_sample_is_kept_over_a_commit() -> None:
    """Or all that follows would be noise."""
    options = LiveOptions(rate=16_000, turns=MANUAL)
    microphone, data = make(options), sound(1.0)
    microphone.feed(data[:16_001])
    microphone.settle()
    microphone.segmenter.commit()
    microphone.feed(data[16_001:])
    microphone.settle()
    chunk = microphone.segmenter.peek()

    assert chunk is not None
    given = np.frombuffer(data, "<i2")[chunk.start : chunk.end].astype(np.float64)
    assert np.corrcoef(given, chunk.samples)[0, 1] > 0.999
    assert chunk.end == SAMPLE_RATE


@pytest.mark.parametrize("before", OPTIONS)
@pytest.mark.parametrize("after", OPTIONS)
def test_configure_loses_nothing(before: LiveOptions, after: LiveOptions) -> None:
    """Another rate, encoding or noise reduction in mid-utterance: all that was fed is heard."""
    microphone = make(before)
    microphone.feed(bytes(before.rate * before.sample_bytes))
    events = microphone.configure(after)
    events += microphone.feed(bytes(after.rate * after.sample_bytes))
    events += microphone.settle()

    assert microphone.segmenter.position == 2 * SAMPLE_RATE
    chunk = microphone.segmenter.peek()
    assert chunk is not None
    assert (chunk.start, chunk.end) == (0, 2 * SAMPLE_RATE)


def test_other_turns_are_taken() -> None:
    """Also where nothing about the sound changes; it may be waiting for a judgement then."""
    semantic = LiveOptions(rate=16_000, turns=TurnOptions(TurnMode.SEMANTIC_VAD))
    microphone = make(semantic, [(1.0, 1.0)])
    microphone.feed(sound(2.0))
    assert microphone.segmenter.waiting
    microphone.configure(replace(semantic, turns=MANUAL))
    microphone.segmenter.advance(0)
    assert not microphone.segmenter.waiting
    microphone.feed(sound(10.0))

    assert microphone.segmenter.uncommitted == microphone.segmenter.position
