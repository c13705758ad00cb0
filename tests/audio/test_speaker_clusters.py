"""Average-link clustering: people told apart, in blocks as at once, with a number given or not."""

import numpy as np
import pytest

from gateway.audio.speaker_clusters import BLOCK, DISTANCE, cluster
from tests.audio.voices import People


def _same(labels: np.ndarray[tuple[int], np.dtype[np.int64]], truth: list[int]) -> bool:
    """Whether both make the same groups."""
    pairs = set(zip(labels.tolist(), truth, strict=True))
    return len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})


@pytest.mark.parametrize("people", [1, 2, 4])
def test_people_are_told_apart(people: int) -> None:
    """Each has a group, nobody two."""
    crowd = People(people)
    truth = [at % people for at in range(60)]

    labels = cluster(np.stack([crowd.voice(person) for person in truth]), DISTANCE)

    assert _same(labels, truth)


def test_blocks_are_joined() -> None:
    """More than a block holds is clustered block by block, and gives the people of all."""
    crowd = People(4, seed=1)
    truth = [0 if at < BLOCK else 1 + at % 3 for at in range(2 * BLOCK + 50)]

    labels = cluster(np.stack([crowd.voice(person) for person in truth]), DISTANCE)

    assert _same(labels, truth)


def test_a_number_is_kept() -> None:
    """``count`` joins or splits until there are so many, ``most`` joins only."""
    crowd = People(3, seed=2, scatter=0.5)
    voices = np.stack([crowd.voice(at % 3) for at in range(30)])

    assert len(set(cluster(voices, DISTANCE, count=2).tolist())) == 2
    assert len(set(cluster(voices, 1.9, count=3).tolist())) == 3
    assert len(set(cluster(voices, DISTANCE, most=2).tolist())) == 2
    assert len(set(cluster(voices, DISTANCE, most=5).tolist())) == 3


def test_one_window_makes_nobody() -> None:
    """A voice that is heard in one window only is given to the nearest; alone in all, it is somebody."""
    crowd = People(2, seed=3)
    voices = np.stack([*(crowd.voice(0) for _ in range(9)), crowd.voice(1)])

    assert set(cluster(voices, DISTANCE).tolist()) == {0}
    assert cluster(voices[-1:], DISTANCE).tolist() == [0]
