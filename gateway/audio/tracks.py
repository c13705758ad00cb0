"""Which of a film's sound tracks is heard: the default one, unless it is silent and another one is not."""

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from gateway.audio.types import SAMPLE_RATE, Samples

LOOK_AHEAD = 30 * SAMPLE_RATE
"""Samples for which a silent track is given the chance to begin while another one has sound."""

SKEW = 2 * SAMPLE_RATE
"""Samples by which tracks may lie apart in the file."""

AUDIBLE = 10 ** (-50 / 20)
"""The least peak of sound: a cable without a microphone stays below it."""


class TrackChoice:
    """Several tracks' samples in, as they come; those of one track out.

    The first track is chosen as soon as it has sound; another one where it has sound for `LOOK_AHEAD` and the
    first has none. While all are silent the silence goes out, else samples are held, so memory is bounded by
    the look-ahead and the number of tracks.

    Args:
        order: The tracks, the preferred ones first; a single one is chosen.
    """

    def __init__(self, order: Sequence[int]) -> None:
        self._tracks = {track: _Held() for track in order}
        self._position = 0
        """Samples that went out."""
        self.chosen: int | None = order[0] if len(order) == 1 else None

    def wants(self, track: int) -> bool:
        """The track's samples still count."""
        return self.chosen is None or self.chosen == track

    def feed(self, track: int, samples: Samples) -> Iterator[Samples]:
        """Takes a track's next samples, shape (n,); gives what goes out."""
        if not self.wants(track):
            return
        held = self._tracks[track]
        held.add(samples, self._position)
        if self.chosen is None:
            self._decide()
        if self.chosen is None:
            yield from self._let_silence_out()
        else:
            yield from self._tracks[self.chosen].take()

    def flush(self) -> Iterator[Samples]:
        """Ends the recording. Without any sound it is the first track that has samples."""
        if self.chosen is None:
            with_samples = [track for track, held in self._tracks.items() if held.end]
            if choices := self._audible() or with_samples:
                self.chosen = choices[0]
                yield from self._tracks[self.chosen].take()

    def _audible(self) -> list[int]:
        return [track for track, held in self._tracks.items() if held.sound is not None]

    def _decide(self) -> None:
        audible = self._audible()
        if audible:
            first_sound = min(held.sound for held in self._tracks.values() if held.sound is not None)
            reached = max(held.end for held in self._tracks.values())
            if audible[0] == next(iter(self._tracks)) or reached - first_sound >= LOOK_AHEAD:
                self.chosen = audible[0]

    def _let_silence_out(self) -> Iterator[Samples]:
        """While there is no sound: gives what the foremost track with samples holds; the others lose it."""
        if not self._audible():
            foremost = next(held for held in self._tracks.values() if held.end)
            for piece in foremost.take(SKEW):
                self._position += len(piece)
                yield piece
            for held in self._tracks.values():
                held.drop(self._position)


class _Held:
    """A track's samples that are not given yet.

    Attributes:
        end: Position after the last one fed.
        sound: Position of the first ones that can be heard.
    """

    def __init__(self) -> None:
        self._pieces: deque[Samples] = deque()
        self._length = 0
        self.end = 0
        self.sound: int | None = None

    def add(self, samples: Samples, position: int) -> None:
        """Takes the next samples; those before ``position`` are gone."""
        self._pieces.append(samples)
        self._length += len(samples)
        if self.sound is None and float(np.abs(samples).max(initial=0.0)) >= AUDIBLE:
            self.sound = self.end
        self.end += len(samples)
        self.drop(position)

    def take(self, rest: int = 0) -> Iterator[Samples]:
        """Gives the pieces as long as so many samples are left."""
        while self._pieces and self._length - len(self._pieces[0]) >= rest:
            self._length -= len(self._pieces[0])
            yield self._pieces.popleft()

    def drop(self, position: int) -> None:
        """Forgets what lies before ``position``."""
        while self._pieces and (excess := position - (self.end - self._length)) > 0:
            piece = self._pieces.popleft()
            self._length -= min(excess, len(piece))
            if excess < len(piece):
                self._pieces.appendleft(piece[excess:])
