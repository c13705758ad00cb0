"""The fake engine answers from its input alone, and misbehaves as told."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.engine.api import DecodeOptions, DecodeRequest, RowFailed
from gateway.transcript import Hypothesis
from tests.scripted import CAPABILITIES, Act, ScriptedSpec, act


def row(samples: Samples, options: DecodeOptions | None = None) -> DecodeRequest:
    """A row, by default without words and log-probabilities."""
    return DecodeRequest(samples, options or DecodeOptions())


def text(result: Hypothesis | RowFailed) -> str:
    """The text of an answered row."""
    assert isinstance(result, Hypothesis)
    return "".join(segment.text for segment in result.segments)


def test_rows_say_their_numbers() -> None:
    """Each answer tells which row it belongs to, up to the last integer a float32 holds."""
    engine = ScriptedSpec(name="fake").load()
    results = engine.transcribe([row(act(7)), row(act(2**24 - 1))])

    assert [text(result) for result in results] == [" 7", " 16777215"]
    assert engine.capabilities == CAPABILITIES


def test_other_audio_is_answered_with_a_word_per_second() -> None:
    """Text, tokens and words agree, and times stay inside the row."""
    samples = np.zeros(3 * SAMPLE_RATE, dtype=np.float32)
    (result,) = ScriptedSpec().load().transcribe([row(samples, DecodeOptions(words=True, logprobs=True))])

    assert isinstance(result, Hypothesis)
    (segment,) = result.segments
    assert segment.text == " one two three"
    assert b"".join(token.raw for token in segment.tokens) == segment.text.encode()
    assert [token.logprob for token in segment.tokens] == [-0.1] * 3
    assert [(word.start, word.end) for word in segment.words] == [(0, 1), (1, 2), (2, 3)]


def test_what_was_not_asked_for_is_not_given() -> None:
    """No words, no log-probabilities, and no segment where nothing was said."""
    empty = row(np.zeros(0, dtype=np.float32))
    full, silent = ScriptedSpec().load().transcribe([row(act(1)), empty])

    assert isinstance(full, Hypothesis)
    assert full.segments[0].words == ()
    assert full.segments[0].tokens[0].logprob is None
    assert text(silent) == ""


def test_misbehaviour_that_leaves_the_process_alive() -> None:
    """A row fails alone, an exception and too big a batch fail the batch, an answer is missing."""
    rows = [row(act(1, Act.FAIL_ROW)), row(act(2))]
    results = ScriptedSpec().load().transcribe(rows)

    assert isinstance(results[0], RowFailed)
    assert text(results[1]) == " 2"
    assert len(ScriptedSpec(too_few=True).load().transcribe(rows)) == 1
    with pytest.raises(ValueError, match="asked"):
        ScriptedSpec().load().transcribe([row(act(1, Act.RAISE))])
    with pytest.raises(RuntimeError, match="out of memory"):
        ScriptedSpec(oom_over=1).load().transcribe(rows)


def test_loading_fails_while_the_file_exists(tmp_path: Path) -> None:
    """So a test decides which of several workers starts."""
    file = tmp_path / "fault"
    spec = ScriptedSpec(fault=Act.RAISE, fault_file=str(file))
    spec.load()
    file.touch()
    with pytest.raises(ValueError, match="asked"):
        spec.load()


def test_the_spec_travels_to_a_worker() -> None:
    """It is picklable and keeps its value; only rows of equal tasks and beams share a batch."""
    spec = ScriptedSpec(oom_over=3)

    assert pickle.loads(pickle.dumps(spec)) == spec
    assert spec.batch_key(DecodeOptions(prompt="a")) == spec.batch_key(DecodeOptions(prompt="b"))
    assert spec.batch_key(DecodeOptions(beam_size=1)) != spec.batch_key(DecodeOptions(beam_size=5))
