"""Our diarization error rate is that of `pyannote.metrics`."""

import numpy as np
import pytest

from bench.dialogues import Turn
from bench.diarization import BRIDGED_SECONDS, FRAMES_PER_SECOND, judge
from gateway.transcript import Segment, Transcript, Word

pytest.importorskip("pyannote.metrics", reason="pyannote.metrics is in the extra bench")


def _turns(random: np.random.Generator, people: int) -> list[Turn]:
    """A minute in which people speak one after the other, now and then at once, on whole frames."""
    turns, at = list[Turn](), 0
    while at < 60 * FRAMES_PER_SECOND:
        length = int(random.integers(80, 600))
        turns.append(
            Turn(at / FRAMES_PER_SECOND, (at + length) / FRAMES_PER_SECOND, f"p{random.integers(people)}")
        )
        at += length + int(random.integers(-60, 150))
        at = max(at, 0)
    return turns


def _transcript(turns: list[Turn]) -> Transcript:
    """One word for each turn, by its speaker."""
    words = [Word(turn.start, turn.end, " word", 0.9) for turn in turns]
    segments = tuple(
        Segment(turn.start, turn.end, " word", (), (word,), -0.1, 1.0, 0.0, 0.0, turn.speaker)
        for turn, word in zip(turns, words, strict=True)
    )
    return Transcript("", "en", ("en",), max(turn.end for turn in turns), segments, ())


@pytest.mark.parametrize("seed", range(8))
def test_error_rate(seed: int) -> None:
    """Confusion, missed speech and false alarms alike, with overlap and other numbers of people."""
    from pyannote.core import Annotation, Timeline  # noqa: PLC0415 - skipped where it is not installed
    from pyannote.core import Segment as Span  # noqa: PLC0415
    from pyannote.metrics.diarization import DiarizationErrorRate  # noqa: PLC0415

    random = np.random.default_rng(seed)
    truth, told = _turns(random, 3), _turns(random, 2 + seed % 3)
    found = judge(truth, _transcript(told))

    annotations = []
    for turns, bridged in ((truth, 0.0), (told, BRIDGED_SECONDS)):
        annotation = Annotation()
        for number, turn in enumerate(turns):
            annotation[Span(turn.start, turn.end), number] = turn.speaker
        annotations.append(annotation.support(bridged - 1e-6 if bridged else 0.0))
    whole = Timeline([Span(0, 80)])
    theirs = DiarizationErrorRate()(*annotations, uem=whole, detailed=True)

    assert found.frames / FRAMES_PER_SECOND == pytest.approx(theirs["total"], abs=0.3)
    assert found.missed / FRAMES_PER_SECOND == pytest.approx(theirs["missed detection"], abs=0.3)
    assert found.false_alarm / FRAMES_PER_SECOND == pytest.approx(theirs["false alarm"], abs=0.3)
    assert found.confused / FRAMES_PER_SECOND == pytest.approx(theirs["confusion"], abs=0.3)
    assert found.error_rate == pytest.approx(theirs["diarization error rate"], abs=0.01)
