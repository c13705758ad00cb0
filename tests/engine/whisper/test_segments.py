"""Whisper's rule for closing segments; nothing between two windows is lost or told twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.engine.whisper.segments import Piece, Split, split_window

EOT = 100
STAMP = 200
"""Id of <|0.00|>."""


def at(seconds: float) -> int:
    """A timestamp token."""
    return STAMP + round(seconds * 50)


def split(
    tokens: list[int], *, frames: int = 3000, cut: bool = False, last: bool = False, shares: bool = False
) -> Split:
    """`split_window` with this file's ids."""
    return split_window(
        tokens, eot=EOT, timestamp_begin=STAMP, frames=frames, cut=cut, last=last, shares=shares
    )


def test_one_segment_with_both_times() -> None:
    """A timestamp alone at the end says that nothing follows."""
    assert split([at(0.4), 1, 2, at(2)]) == Split((Piece(40, 200, (1, 2)),), 3000)


def test_segments_between_pairs_of_timestamps() -> None:
    """Each pair closes one segment and opens the next."""
    tokens = [at(0.4), 1, at(2), at(3), 2, at(4)]

    assert split(tokens) == Split((Piece(40, 200, (1,)), Piece(300, 400, (2,))), 3000)


def test_an_unfinished_segment_is_decoded_again_from_its_start() -> None:
    """Its text is dropped; the next window begins at the last closed time."""
    assert split([at(0.4), 1, at(2), at(3), 2, 3]) == Split((Piece(40, 200, (1,)),), 200)


def test_a_pair_at_the_end_asks_for_the_rest() -> None:
    """The model says a segment would follow."""
    assert split([at(0.4), 1, at(2), at(2)]) == Split((Piece(40, 200, (1,)),), 200)


def test_unfinished_text_is_kept_where_no_window_follows() -> None:
    """In the last window allowed, and where going on would make no progress."""
    tokens = [at(0.4), 1, at(2), at(3), 2, 3]
    stuck = [at(0), 1, at(0), at(0), 2]

    assert split(tokens, last=True) == Split((Piece(40, 200, (1,)), Piece(300, 3000, (2, 3))), 3000)
    assert split(stuck) == Split((Piece(0, 3000, (2,)),), 3000)


def test_no_end_time_means_up_to_the_end() -> None:
    """The whole window is one segment; without any timestamps it starts at 0."""
    assert split([at(0.4), 1, 2]) == Split((Piece(40, 3000, (1, 2)),), 3000)
    assert split([1, 2], frames=150) == Split((Piece(0, 150, (1, 2)),), 150)


def test_unfinished_text_stays_where_the_next_row_says_it_again() -> None:
    """Its audio is not decoded once more here. What is silent, or cut by its length, still is."""
    written = [at(0.4), 1, at(2), at(2), 2]

    assert split(written, shares=True) == Split((Piece(40, 200, (1,)), Piece(200, 3000, (2,))), 3000)
    assert split(written[:-1], shares=True) == split(written[:-1])
    assert split(written, cut=True, shares=True) == split(written, cut=True)


def test_a_cut_text_does_not_tell_the_whole_window() -> None:
    """Its last timestamp is where to go on; where there is none, alignment must find out."""
    assert split([at(0.4), 1, at(2)], cut=True) == Split((Piece(40, 200, (1,)),), 200)
    assert split([at(0.4), 1, 2], cut=True) == Split((Piece(40, 3000, (1, 2)),), 3000, open=True)
    assert not split([at(0.4), 1, 2], cut=True, last=True).open


def test_text_of_no_length_is_dropped() -> None:
    """Whisper invents it behind the end of speech."""
    assert split([at(0.4), 1, at(2), at(2.5), 9, at(2.5)]) == Split((Piece(40, 200, (1,)),), 3000)


def test_times_in_the_padding_are_brought_back() -> None:
    """A short chunk is padded to 30 s, where the model may place the end, or even a start."""
    assert split([at(0.4), 1, at(2.2)], frames=180) == Split((Piece(40, 180, (1,)),), 180)
    assert split([at(2.0), 1, at(2.2)], frames=180) == Split((Piece(178, 180, (1,)),), 180)


@pytest.mark.parametrize("tokens", [[], [at(0)], [at(0), at(0)], [at(0), at(0), at(1)]])
def test_nothing_said(tokens: list[int]) -> None:
    """Timestamps alone give no segment."""
    assert split(tokens).pieces == ()


@given(
    st.lists(st.one_of(st.integers(0, EOT - 1), st.integers(STAMP, STAMP + 1500)), max_size=40),
    st.integers(1, 3000),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_whatever_a_model_writes(
    tokens: list[int],
    frames: int,
    cut: bool,  # noqa: FBT001 - drawn by hypothesis
    last: bool,  # noqa: FBT001 - the same
    shares: bool,  # noqa: FBT001 - the same
) -> None:
    """Progress is made, pieces lie in the window, and no token appears twice or out of order."""
    result = split(tokens, frames=frames, cut=cut, last=last, shares=shares)
    kept = [token for piece in result.pieces for token in piece.tokens]
    said = iter(token for token in tokens if token < EOT)

    assert 0 < result.advance <= frames
    assert all(0 <= piece.start < piece.end <= max(frames, 2) for piece in result.pieces)
    assert all(token in said for token in kept)
