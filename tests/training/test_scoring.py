"""Word errors and their alignment."""

import pytest

from training.mini_whisper.scoring import Score, align, describe_times, normalise


def test_normalise_drops_case_and_punctuation() -> None:
    """What remains are the words, umlauts included."""
    assert normalise(" Tür zwölf, Don't-stop. ") == ["tür", "zwölf", "don'tstop"]


@pytest.mark.parametrize(
    ("ref", "hyp", "distance", "pairs"),
    [
        ("a b c", "a b c", 0, [(0, 0), (1, 1), (2, 2)]),
        ("a b c", "a x c", 1, [(0, 0), (2, 2)]),
        ("a b c", "a c", 1, [(0, 0), (2, 1)]),
        ("a c", "a b c", 1, [(0, 0), (1, 2)]),
        ("", "a b", 2, []),
        ("a b", "", 2, []),
    ],
)
def test_align(ref: str, hyp: str, distance: int, pairs: list[tuple[int, int]]) -> None:
    """Substitution, deletion and insertion cost one each, and equal words find each other."""
    assert align(ref.split(), hyp.split()) == (distance, pairs)


def test_score_counts_clips_and_words() -> None:
    """Case counts for an exact clip, not for the words; the wrong ones are remembered."""
    score = Score()
    for hyp in ("Open the door.", "open the door", "Open a door."):
        score.add("Open the door.", hyp)

    assert (score.errors, score.words, score.clips, score.exact) == (1, 9, 3, 1)
    assert score.wrong == [("Open the door.", "Open a door.")]
    assert score.rate == pytest.approx(1 / 9)


def test_times_are_absolute_errors() -> None:
    """Early and late do not cancel out, and no pair at all is no error."""
    assert describe_times([]) == "nothing to compare"
    assert describe_times([-0.2, 0.2, 0.4]).startswith("mean 0.267 s, median 0.200")
