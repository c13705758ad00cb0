"""A sample's position is its time by the container's clock, whatever the stamps do."""

from collections.abc import Iterable
from fractions import Fraction

import numpy as np
import pytest
from av.audio.frame import AudioFrame

from gateway.audio.clock import GAP, LONGEST_GAP, Clock

RATE = 8_000
STEP = 0.02


def frame(time: float | None) -> AudioFrame:
    """20 ms that begin at ``time``."""
    made = AudioFrame(format="s16", layout="mono", samples=round(STEP * RATE))
    made.sample_rate = RATE
    made.time_base = Fraction(1, 1_000_000)
    made.pts = None if time is None else round(time * 1_000_000)
    return made


def starts(times: Iterable[float | None], origin: float | None = 0.0) -> list[float]:
    """Where the clock places each of the frames; none is lost."""
    clock = Clock(origin)
    frames = [frame(time) for time in times]
    placed = [pair for each in frames for pair in clock.feed(each)]
    placed += clock.flush()
    assert [each for _, each in placed] == frames
    lengths = np.array([STEP + silence for silence, _ in placed])
    return list(np.cumsum(lengths) - STEP)


def run(start: float, count: int, step: float = STEP) -> list[float | None]:
    """The stamps of ``count`` frames."""
    return [start + step * at for at in range(count)]


@pytest.mark.parametrize("gap", [GAP, 0.5, 10.0, 3_600.0, LONGEST_GAP])
def test_a_gap_is_silence(gap: float) -> None:
    """What the recorder left out is as long as it says."""
    times = [*run(0, 5), *run(0.1 + gap, 5)]

    assert starts(times) == pytest.approx(times)


@pytest.mark.parametrize("origin", [0.0, 100.0, -3.0])
def test_a_late_beginning(origin: float) -> None:
    """Sound that begins after the picture does."""
    assert starts(run(origin + 5, 5), origin) == pytest.approx(run(5, 5))


def test_no_origin() -> None:
    """The first frame is the beginning where the container does not say."""
    assert starts(run(7, 5), None) == pytest.approx(run(0, 5))


@pytest.mark.parametrize("gap", [LONGEST_GAP + 60, 86_400.0 * 3, 1e9])
def test_a_jump_of_days_is_not_believed(gap: float) -> None:
    """It begins a new clock, whose gaps count as before."""
    times = [*run(0, 5), *run(0.1 + gap, 5), *run(0.2 + gap + 3, 5)]

    assert starts(times) == pytest.approx([*run(0, 10), *run(3.2, 5)])


@pytest.mark.parametrize("wrong", [3.0, 500.0, 1e7, -5.0, -1e7])
def test_one_wrong_stamp_changes_nothing(wrong: float) -> None:
    """The next one says that it was wrong."""
    times = [*run(0, 5), wrong, *run(0.12, 5)]

    assert starts(times) == pytest.approx(run(0, 11))


@pytest.mark.parametrize("back", [0.05, 0.5])
def test_an_overlap_is_kept(back: float) -> None:
    """Nothing is taken away, and the next gap makes good for it."""
    times = [*run(1, 50), *run(2 - back, 50), *run(10, 5)]

    assert starts(times) == pytest.approx([*run(1, 100), *run(10, 5)])


@pytest.mark.parametrize("again", [0.0, 0.5, -100.0])
def test_a_clock_that_begins_anew(again: float) -> None:
    """Recordings that are joined follow each other, and gaps in the second one count."""
    times = [*run(0, 200), *run(again, 50), *run(again + 6, 5)]

    assert starts(times) == pytest.approx([*run(0, 250), *run(10, 5)])


def test_packets_that_are_left_out_in_silence() -> None:
    """A telephone that sends a packet each 0.4 s while nobody speaks."""
    times = [*run(0, 10), *run(0.2, 20, 0.4), *run(8.2, 10)]

    assert starts(times) == pytest.approx(times)


def test_jitter_is_not_a_gap() -> None:
    """Stamps that are rounded or shake add nothing."""
    rng = np.random.default_rng(1)
    times = [float(at) + rng.uniform(0, 0.9 * GAP) for at in np.arange(500) * STEP]

    assert starts(times) == pytest.approx(run(0, 500))


def test_lost_packets_add_up() -> None:
    """Each too short to be a gap, together they are never more than one behind."""
    times = [time for at, time in enumerate(run(0, 1_000)) if at % 10]

    assert np.abs(np.array(starts(times)) - np.array(times)).max() <= GAP + 1e-9


def test_slow_drift_is_followed() -> None:
    """A recorder whose clock runs 1 % fast."""
    times = run(0, 5_000, STEP * 1.01)

    assert np.abs(np.array(starts(times)) - np.array(times)).max() <= GAP + STEP


def test_frames_without_stamps() -> None:
    """They follow what was before."""
    assert starts([0.0, None, None, *run(5, 2), None]) == pytest.approx([0, 0.02, 0.04, 5, 5.02, 5.04])
    assert starts([None] * 4, None) == pytest.approx(run(0, 4))


def test_stamps_that_are_counted() -> None:
    """Where FFmpeg made them up, they say nothing."""
    clock = Clock(None, follows_stamps=False)
    placed = [silence for time in (0, 5, 100) for silence, _ in clock.feed(frame(time))]

    assert placed == [0, 0, 0]
