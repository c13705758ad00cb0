"""Cuts what Whisper wrote for one window into segments, and finds where the next window must begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FRAMES_PER_TIMESTAMP = 2
"""A timestamp token counts 20 ms, a mel frame lasts 10 ms."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text tokens between two timestamps, in mel frames from the window's start."""

    start: int
    end: int
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """The window's finished segments.

    Attributes:
        advance: Frames up to which the window is transcribed; what follows must be decoded again.
        open: The length limit cut the text and no timestamp says where: alignment must.
    """

    pieces: tuple[Piece, ...]
    advance: int
    open: bool = False


def split_window(
    tokens: Sequence[int],
    *,
    eot: int,
    timestamp_begin: int,
    frames: int,
    cut: bool = False,
    last: bool = False,
    shares: bool = False,
) -> Split:
    """Whisper's own rule: two timestamps in a row close a segment, one alone at the end closes the window.

    Text after the last pair is unfinished; it is dropped and its audio decoded again, unless that would
    make no progress or this is the ``last`` window allowed: then it is kept up to the window's end.

    Args:
        tokens: What the model wrote, end token not included.
        eot: First id after the text tokens.
        frames: Mel frames of audio in the window, padding not counted.
        cut: The length limit ended the text, so a timestamp at its end does not say that all is transcribed.
        shares: The next row has the window's end, too, so what is unfinished is kept: it is said again there.
    """
    pairs = [
        index
        for index in range(1, len(tokens))
        if tokens[index] >= timestamp_begin and tokens[index - 1] >= timestamp_begin
    ]
    closed = len(tokens) >= 2 and tokens[-2] < timestamp_begin <= tokens[-1]
    ends = [*pairs, len(tokens)]
    advance = frames
    if closed and cut:
        advance = (tokens[-1] - timestamp_begin) * FRAMES_PER_TIMESTAMP
    elif pairs and not closed:
        advance = (tokens[pairs[-1] - 1] - timestamp_begin) * FRAMES_PER_TIMESTAMP
        ends = pairs
    is_open = bool(tokens) and tokens[-1] < eot
    if last or not 0 < advance <= frames or (shares and is_open and not cut):
        ends, advance = [*pairs, len(tokens)], frames

    pieces: list[Piece] = []
    begin = 0
    for end in ends:
        piece = _piece(tokens[begin:end], eot, timestamp_begin, frames)
        if piece is not None:
            pieces.append(piece)
        begin = end
    return Split(tuple(pieces), advance, open=cut and not pairs and not closed and not last)


def _piece(tokens: Sequence[int], eot: int, timestamp_begin: int, frames: int) -> Piece | None:
    text = tuple(token for token in tokens if token < eot)
    stamps = [
        (token - timestamp_begin) * FRAMES_PER_TIMESTAMP for token in tokens if token >= timestamp_begin
    ]
    start = stamps[0] if stamps else 0
    end = stamps[-1] if len(stamps) > 1 else frames
    # Whisper writes text of no length after the end of speech ("Thank you."): its authors drop it too.
    if not text or (len(stamps) > 1 and start == end):
        return None
    # The model may place the end in the padding after a short chunk.
    end = max(min(end, frames), FRAMES_PER_TIMESTAMP)
    return Piece(min(start, end - FRAMES_PER_TIMESTAMP), end, text)
