"""Channels that hear each other, one person each: what is only another's voice is taken out of a channel."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.audio.types import SAMPLE_RATE, Samples

_FRAME = SAMPLE_RATE // 50
_HOP = SAMPLE_RATE
"""Frames are judged together by so many samples, whatever pieces they come in."""

_SMOOTHED = 5
"""Frames over which a level is taken: a tenth of a second, for a leak is never louder in each one alike."""

_HELD = 8
"""Frames for which a channel's level is held, between syllables."""

_LATE = 15
"""Frames by which a leak may come late, by echo or network: the levels of the others are held for so much
longer, and levels are compared only when both have come."""

_OTHERS_HELD = _HELD + _LATE

_BEFORE = _SMOOTHED - 1 + _OTHERS_HELD + _LATE
"""Frames that are looked back at."""

_AROUND, _MOST_AROUND = 4, 7
"""A channel has its own voice in a frame where so many of those up to 4 before and after it show it."""

_KEPT = 10
"""Frames that are kept before and after its own voice."""

_BEHIND = _AROUND + _KEPT

_LOUD, _AUDIBLE = 20.0, 40.0
"""Decibels below the recording's loudest up to which frames teach, and up to which a voice may leak."""

_ALIKE = 3.0
"""Decibels within which two channels count as equally loud."""

_FADES = 0.3
"""Decibels by which the loudest is forgotten in a second."""

_LEAST = 4.0
"""Decibels. The least difference of level that is believed to be a leak; with less the channels are one."""

_ABOVE_NOISE = 6.0
"""Decibels above a channel's noise from which there can be a voice."""

_MARGIN = 10.0
"""Decibels above a leak's level from which it is no leak, if the channels are not closer than twice that."""

_RARE = 0.1
"""The least share of time in which each is taken to speak alone; of one who does less, `_LEAST` counts."""

_REMAINS = 0.98
"""Of what was learnt, after each second with speech: people move."""

_RANGE = 100
"""Decibels, up and down, that are told apart."""

_NOTHING = 1e-10
"""Of power: what is less is silence."""

Levels = NDArray[np.float32]
"""Decibels, shape (frames, channels)."""


class Isolation:
    """Samples of several channels, (n, channels), in and out; silent where a channel has no voice of its own.

    While one person speaks, another's channel has a weaker copy of it, or nothing. How much weaker is learnt
    for each pair, from the lowest and the highest differences of level; a channel's own voice is more than
    the copy could be. So two who speak at once keep their words, and nothing is taken out where the others
    are silent. Channels with the same sound are one: the first has it.

    What goes out depends on the samples alone, and follows them by 1.3 s at most.
    """

    def __init__(self, channels: int) -> None:
        self._pending: Samples = np.zeros((0, channels), np.float32)
        """Not judged yet."""
        self._judged: Samples = np.zeros((0, channels), np.float32)
        """Judged, and not given yet."""
        self._levels: Levels = np.full((_BEFORE, channels), -_RANGE, np.float32)
        """The last frames before those pending."""
        self._own = np.zeros((_BEHIND, channels), dtype=bool)
        """Where a channel has its own voice: from `_BEHIND` frames before the first that is not given."""
        self._free = self._own.copy()
        """Where all others are silent, in the same frames."""
        self._gains = np.ones(channels, np.float32)
        self._last: Samples = np.zeros((1, channels), np.float32)
        self._loudest = -float(_RANGE)
        self._noises = [_Levels() for _ in range(channels)]
        self._pairs = {pair: _Levels() for pair in combinations(range(channels), 2)}

    def feed(self, samples: Samples) -> Iterator[Samples]:
        """Takes the next samples; gives what is ready, in the same pieces however they are sliced."""
        self._pending = np.concatenate((self._pending, samples))
        while len(self._pending) >= _HOP:
            hop, self._pending = self._pending[:_HOP], self._pending[_HOP:]
            self._judge(hop)
            yield self._given(len(self._own) - 2 * _BEHIND)

    def flush(self) -> Samples:
        """Ends the recording: gives what is left."""
        rest, self._pending = self._pending, self._pending[:0]
        missing = -len(rest) % _FRAME
        if len(rest):
            self._judge(np.pad(rest, ((0, missing), (0, 0))))
        self._own = np.pad(self._own, ((0, _BEHIND), (0, 0)), mode="edge")
        self._free = np.pad(self._free, ((0, _BEHIND), (0, 0)))
        left = self._given(len(self._own) - 2 * _BEHIND)
        return left[: len(left) - missing] if len(rest) else left

    def _judge(self, hop: Samples) -> None:
        self._judged = np.concatenate((self._judged, hop))
        # By differences from sample to sample, so that hum decides nothing.
        edges = np.diff(np.concatenate((self._last, hop)), axis=0)
        self._last = hop[-1:]
        power: Levels = np.square(edges).reshape(-1, _FRAME, hop.shape[1]).mean(axis=1)
        levels = np.concatenate((self._levels, _decibels(power)))
        self._levels = levels[-_BEFORE:]
        smooth: Levels = _decibels(_windows(10 ** (levels / 10), _SMOOTHED).mean(axis=-1))
        long_held: Levels = _windows(smooth, _HELD + 1).max(axis=-1)
        held = long_held[-len(power) :]
        others: Levels = _windows(smooth, _OTHERS_HELD + 1).max(axis=-1)[-len(power) :]
        around: Levels = _windows(smooth, _OTHERS_HELD + _LATE + 1).max(axis=-1)[-len(power) :]
        self._loudest = max(self._loudest - _FADES, float(others.max()))
        audible = self._loudest - _AUDIBLE
        # A pair learns when the copy of what was said is there, too, and neither only hears a third.
        spoken = long_held[-len(power) - _LATE : -_LATE]
        loud = np.maximum(self._loudest - _LOUD, around.max(axis=1) - _ALIKE)
        has_voice = held > self._noise(smooth[-len(power) :]) + _ABOVE_NOISE
        is_quiet = others < audible
        own = has_voice
        for (one, other), pair in self._pairs.items():
            difference = around[:, other] - around[:, one]
            pair.learn(difference[spoken[:, [one, other]].max(axis=1) > loud])
            least, most = _bounds(pair)
            louder = held[:, other] - others[:, one]
            # Where they are one, the quiet sounds before a word are the first one's, too.
            is_alone = is_quiet[:, one] & ((louder > _LEAST) | (least < np.inf))
            own[:, other] &= (louder > least) | is_alone
            own[:, one] &= (others[:, other] - held[:, one] < most) | is_quiet[:, other]
        # All but one's own are quiet.
        is_free = is_quiet.sum(axis=1, keepdims=True) - is_quiet == is_quiet.shape[1] - 1
        self._own = np.concatenate((self._own, own))
        self._free = np.concatenate((self._free, is_free))

    def _noise(self, levels: Levels) -> Levels:
        """The channels' levels while nobody speaks."""
        for noise, level in zip(self._noises, levels.T, strict=True):
            noise.learn(level)
        return np.array([noise.at(_RARE) for noise in self._noises], np.float32)

    def _given(self, frames: int) -> Samples:
        """The next frames, of which those around them are judged."""
        if frames <= 0:
            return self._judged[:0]
        seen = _windows(self._own, 2 * _AROUND + 1).sum(axis=-1)
        own = np.asarray(seen >= _MOST_AROUND)
        kept = np.asarray(_windows(own, 2 * _KEPT + 1).any(axis=-1))[:frames] | self._free[_BEHIND:][:frames]
        gains = np.concatenate((self._gains[None], kept.astype(np.float32)))
        self._gains = gains[-1]
        self._own, self._free = self._own[frames:], self._free[frames:]
        samples, self._judged = self._judged[: frames * _FRAME], self._judged[frames * _FRAME :]
        # From one frame's gain to the next, so that nothing clicks.
        slopes = np.linspace(0, 1, _FRAME, dtype=np.float32)[None, :, None]
        ramps = gains[:-1, None] + (gains[1:] - gains[:-1])[:, None] * slopes
        given: Samples = samples * ramps.reshape(len(samples), -1)
        return given


class _Levels:
    """How often there was which level, or difference of levels, in decibels."""

    def __init__(self) -> None:
        self._counts = np.zeros(2 * _RANGE + 1)

    def learn(self, levels: Levels) -> None:
        """Takes those of frames."""
        if len(levels):
            bins = np.clip(np.round(levels), -_RANGE, _RANGE).astype(int) + _RANGE
            self._counts = self._counts * _REMAINS + np.bincount(bins, minlength=2 * _RANGE + 1)

    @property
    def is_unknown(self) -> bool:
        """There was none yet."""
        return not self._counts.any()

    def at(self, share: float) -> float:
        """The level below which so large a share is."""
        total = np.cumsum(self._counts)
        return float(np.searchsorted(total, share * total[-1])) - _RANGE


def _bounds(differences: _Levels) -> tuple[float, float]:
    """Above the first the second of two channels has a voice of its own, below the other one the first."""
    if differences.is_unknown:
        # The louder one speaks; of two that are alike it is the first.
        return 0.0, _LEAST
    lowest, highest = differences.at(_RARE), differences.at(1 - _RARE)
    if -_LEAST < lowest <= highest < _LEAST:
        return np.inf, np.inf
    low, high = min(-_LEAST, lowest), max(_LEAST, highest)
    margin = min(_MARGIN, (high - low) / 2)
    return low + margin, high - margin


def _decibels(power: NDArray[np.float32]) -> Levels:
    return np.asarray(10 * np.log10(power + _NOTHING), dtype=np.float32)


def _windows(values: NDArray[Any], size: int) -> NDArray[Any]:
    """So many values up to each, in a last axis."""
    return np.lib.stride_tricks.sliding_window_view(values, size, axis=0)
