"""What the words benchmark counts, on texts that are counted by hand."""

import pytest

pytest.importorskip("jiwer", reason="jiwer is not installed: pip install -e '.[bench]'")
pytest.importorskip("whisper_normalizer", reason="it is not installed: pip install -e '.[bench]'")

from bench.wer import Joins, Score, TimedWord, judge_joins, score, start_errors

TRUTH = "Printing, in the only sense, differs from most arts. For the room was articulated: quite so."


@pytest.mark.parametrize(
    ("truth", "heard", "language", "expected"),
    [
        ("Mr. Smith has two cats.", "mister smith has 2 cats", "en", Score(0, 5)),
        ("red green blue", "red blue grey", "en", Score(2, 3)),
        ("red green blue", "", "en", Score(3, 3)),
        ("数据、模型。", "数据模式", "zh", Score(1, 4)),
        ("데이터, 모델", "데이터모델", "ko", Score(0, 5)),
        ("Schöne Grüße!", "schöne grüsse", "de", Score(1, 2)),
    ],
)
def test_errors(truth: str, heard: str, language: str, expected: Score) -> None:
    """Words are counted without case and punctuation; characters where no spaces tell words apart."""
    assert score(truth, heard, language) == expected


def test_scores_add_up() -> None:
    """Long recordings weigh more than short ones; nothing has no errors."""
    total = Score(1, 10) + Score(0, 90)

    assert total == Score(1, 100)
    assert total.rate == 0.01
    assert Score().rate == 0.0


@pytest.mark.parametrize(
    ("heard", "false_stops"),
    [
        ("Printing, in the only.| Sense, differs from most arts.", 1),
        ("Printing, in the only|. Sense, differs from most arts.", 1),
        ("Printing, in the only| sense, differs from most arts.", 0),
        ("Printing, in the only sense, differs from most arts.| For the room was articulated", 0),
        ("Printing, in the only sense, differs from most arts.| for the room was articulated", 1),
        ("Printing, in the only sense, differs from most.| For the room was articulated", 0),
        ("For the room was articulated.| Quite so.", 0),
    ],
)
def test_full_stops_at_joins(heard: str, false_stops: int) -> None:
    """One is false where the sentence goes on, or lower case follows; a colon may be read as one."""
    before, _, after = heard.partition("|")

    assert judge_joins(TRUTH, before + after, [len(before)], "en").false_stops == false_stops


def test_a_reference_without_full_stops_cannot_tell() -> None:
    """Then only lower case behind it shows that a full stop is false."""
    truth = "and so my fellow americans ask not what your country can do"

    assert judge_joins(truth, "And so. My fellow", [7], "en").false_stops == 0
    assert judge_joins(truth, "And so. my fellow", [7], "en").false_stops == 1


def test_words_lost_at_joins() -> None:
    """Those missing at a join or an end count, those missing elsewhere do not."""
    heard = "in the only sense, differs most arts. Room was articulated: quite so."

    assert judge_joins(TRUTH, heard, [heard.index("Room")], "en") == Joins(count=1, lost=3, false_stops=0)


def test_nothing_heard_is_all_lost() -> None:
    """No text has no joins; all words are missing at its ends."""
    assert judge_joins("one two", "", [], "en") == Joins(count=0, lost=2, false_stops=0)


def test_joins_within_unspaced_text() -> None:
    """In Chinese every character is a word, and keeps its punctuation."""
    assert judge_joins("数据模型。使用", "数据。模型。使用", [3], "zh") == Joins(1, 0, 1)


def test_start_errors() -> None:
    """Words that both have are compared, whatever their case and punctuation; others are left out."""
    truth = [TimedWord(0.5, "And"), TimedWord(1.0, "so,"), TimedWord(1.5, "my")]
    heard = [TimedWord(0.7, "and"), TimedWord(1.0, "no"), TimedWord(1.4, "my.")]

    assert start_errors(truth, heard, "en") == pytest.approx([0.2, 0.1])
    assert start_errors(truth, [], "en") == []
